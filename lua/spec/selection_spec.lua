package.path = 'lua/spec/?.lua;' .. package.path
local selection = require 'ebbgate.core.selection'
local tools = require 'tools'

local OUT = { state = 'ejected', out = true, factor = 1 }
local function warm(factor) return { state = 'warming', out = false, factor = factor } end

--- 'a' → a member; `changes` replace what it has.
local function member(id, changes)
  local one = { id = id, weight = 100, zone = '', backup = false, state_name = 'up', down = false, condition = nil }
  for name, value in pairs(changes or {}) do one[name] = value end
  one.eligible = selection.eligible({ state = one.state_name, weight = one.weight, down = one.down })
  return one
end

--- The chosen ids, sorted, as one text; and what choose said about them.
local function chosen(members, rules)
  local list, about = selection.choose(members, rules)
  local ids = {}
  for i, one in ipairs(list) do ids[i] = one.id end
  table.sort(ids)
  return table.concat(ids), about, list
end

--- id → part of the requests.
local function parts(list)
  local sum, of = 0, {}
  for _, one in ipairs(list) do sum = sum + one.share end
  for _, one in ipairs(list) do of[one.id] = one.share / sum end
  return of
end

describe('who is out', function()
  it('is left out, as long as enough are left', function()
    local ids, about = chosen({ member('a'), member('b', { condition = OUT }), member('c') })
    assert.equal('ac', ids)
    assert.is_false(about.panic)
    assert.equal('a', (chosen({ member('a'), member('b', { condition = OUT }) })))
  end)

  it('is used again when more than max_ejected_percent are out: panic', function()
    local members = { member('a', { condition = OUT }), member('b', { condition = OUT }), member('c') }
    local ids, about = chosen(members)
    assert.equal('abc', ids)
    assert.is_true(about.panic)
    assert.equal('c', (chosen(members, { max_ejected_percent = 67 })))
    ids, about = chosen({ member('a', { condition = OUT }) }, { max_ejected_percent = 100 })
    assert.equal('a', ids)
    assert.is_true(about.panic)
  end)

  it('is not used under panic if it is a suspect', function()
    local suspect = { state_name = 'suspect', condition = OUT }
    assert.equal('ad', (chosen({
      member('a', { condition = OUT }), member('b', suspect), member('c', suspect), member('d', { state_name = 'suspect' }),
    })))
    local ids, about = chosen({ member('b', suspect) })
    assert.equal('', ids)
    assert.is_false(about.panic)
  end)

  it('does not count as out of those that are up, if it is a suspect', function()
    local suspect = { state_name = 'suspect', condition = OUT }
    local ids, about = chosen({
      member('a'), member('b', { condition = OUT }), member('c', suspect), member('d', suspect), member('e', suspect),
    })
    assert.equal('a', ids)
    assert.is_false(about.panic)
  end)
end)

describe('backups', function()
  local function backup(id, changes)
    changes = changes or {}
    changes.backup = true
    return member(id, changes)
  end

  it('are spares while the primaries do it, and a retry may come to them', function()
    local ids, about = chosen({ member('a'), backup('z') })
    assert.equal('a', ids)
    assert.equal('z', about.spare[1].id)
    assert.equal(100, about.spare[1].share)
  end)

  it('serve when no primary may be used', function()
    assert.equal('z', (chosen({ member('a', { condition = OUT }), backup('z') })))
    assert.equal('z', (chosen({ member('a', { weight = 0 }), backup('z') })))
    assert.equal('z', (chosen({ backup('z') })))
  end)

  it('come before panic, beside the primaries that are left', function()
    local ids, about = chosen({
      member('a', { condition = OUT }), member('b', { condition = OUT }), member('c'), backup('z'),
    })
    assert.equal('cz', ids)
    assert.is_false(about.panic)
  end)

  it('that are out themselves leave panic to the primaries', function()
    local ids, about = chosen({ member('a', { condition = OUT }), backup('z', { condition = OUT }) })
    assert.equal('a', ids)
    assert.is_true(about.panic)
    ids, about = chosen({ backup('y', { condition = OUT }), backup('z', { condition = OUT }) })
    assert.equal('yz', ids)
    assert.is_true(about.panic)
  end)
end)

describe('slow start', function()
  it('takes its part of the weight, except under panic', function()
    local _, _, list = chosen({ member('a', { condition = warm(0.25) }), member('b') })
    assert.near(0.2, parts(list).a, 1e-9)
    _, _, list = chosen({
      member('a', { condition = warm(0.25) }), member('b', { condition = OUT }), member('c', { condition = OUT }),
    })
    assert.near(1 / 3, parts(list).a, 1e-9)
  end)
end)

describe('the own zone', function()
  local RULES = { prefer_zone = true, zone = 'here', max_ejected_percent = 50 }
  local function at(id, zone, weight, more)
    more = more or {}
    more.zone, more.weight = zone, weight
    return member(id, more)
  end

  it('gets everything if it has its fair share; the others are spares', function()
    local ids, about = chosen({ at('a', 'here', 100), at('b', 'there', 100) }, RULES)
    assert.equal('a', ids)
    assert.equal('b', about.spare[1].id)
  end)

  it('gets as much less as it is smaller than that', function()
    local ids, _, list = chosen({ at('a', 'here', 100), at('b', 'there', 100), at('c', 'yonder', 400) }, RULES)
    assert.equal('abc', ids)
    assert.near(0.5, parts(list).a, 1e-9)
    assert.near(0.1, parts(list).b, 1e-9)
    assert.near(0.4, parts(list).c, 1e-9)
  end)

  it('means nothing where nobody is, where everybody is, under panic, or to a gateway without one', function()
    assert.equal('ab', (chosen({ at('a', 'x', 1), at('b', 'y', 1) }, RULES)))
    assert.equal('ab', (chosen({ at('a', 'here', 1), at('b', 'here', 1) }, RULES)))
    assert.equal('abc', (chosen({
      at('a', 'here', 1, { condition = OUT }), at('b', 'there', 1, { condition = OUT }), at('c', 'there', 1),
    }, RULES)))
    assert.equal('ab', (chosen({ at('a', 'here', 1), at('b', 'there', 1) }, { prefer_zone = true, zone = '' })))
    assert.equal('ab', (chosen({ at('a', 'here', 1), at('b', 'there', 1) }, { prefer_zone = false, zone = 'here' })))
  end)
end)

--- Any upstream: states, weights, health, zones and backups mixed.
local function any_member(random, index)
  local states = { 'up', 'up', 'up', 'up', 'suspect', 'draining', 'unready', 'isolated', 'cut', 'gone', 'later' }
  local conditions = { false, false, OUT, warm(0.1 + random() * 0.9) }
  return member(tostring(index), {
    state_name = states[random(#states)], weight = random(4) == 1 and 0 or random(1000), down = random(6) == 1,
    zone = ({ 'here', 'there', 'yonder', '' })[random(4)], backup = random(4) == 1,
    condition = conditions[random(4)] or nil,
  })
end

local function has(list, wanted)
  for _, one in ipairs(list) do
    if wanted(one) then return true end
  end
  return false
end

describe('whatever the upstream', function()
  it('the rules are kept', function()
    for seed = 1, 3000 do
      local random, members = tools.random(seed), {}
      for i = 1, random(12) do members[i] = any_member(random, i) end
      local rules = {
        max_ejected_percent = ({ 0, 30, 50, 100 })[random(4)], prefer_zone = random(2) == 1, zone = ({ 'here', '' })[random(2)],
      }
      local list, about = selection.choose(members, rules)
      local at = 'seed ' .. seed
      local both, seen = {}, {}
      for _, one in ipairs(list) do both[#both + 1] = one end
      for _, one in ipairs(about.spare) do both[#both + 1] = one end
      for _, one in ipairs(both) do
        assert.is_true(one.eligible, at)
        assert.is_true(one.share > 0 and one.share < math.huge, at)
        assert.is_nil(seen[one.id], at)
        seen[one.id] = true
        local out = one.condition and one.condition.out
        if out then assert.is_true(about.panic and one.state_name == 'up', at) end
      end
      -- Nobody is chosen only when nobody may be.
      local usable = has(members, function(one)
        return one.eligible and (one.state_name == 'up' or not (one.condition and one.condition.out))
      end)
      assert.equal(usable, #list > 0, at)
      -- A backup serves only if a primary is out, or none is eligible.
      if has(list, function(one) return one.backup end) then
        local primaries = has(members, function(one) return one.eligible and not one.backup end)
        local broken = has(members, function(one)
          return one.eligible and not one.backup and one.condition and one.condition.out
        end)
        assert.is_true(broken or not primaries, at)
      end
      if rules.max_ejected_percent == 100 and about.panic then
        assert.is_false(has(members, function(one)
          return one.eligible and not (one.condition and one.condition.out)
        end), at)
      end
    end
  end)
end)
