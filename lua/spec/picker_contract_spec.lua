package.path = 'lua/spec/?.lua;' .. package.path
local balancing = require 'balancing'
local upstream = require 'ebbgate.core.upstream'
local tools = require 'tools'

local member, enter, leave, key = balancing.member, balancing.enter, balancing.leave, balancing.key

--- What each may be off from its weights, as a share of the peer's own: exact ones by a pick or two, draws by chance (five
--- standard deviations at 20,000 picks), hashes by how their points lie.
local LOOSE = {
  weighted_round_robin = 0.001, least_connections = 0.001, random = 0.1, ewma = 0.1, ip_hash = 0.35, consistent_hash = 0.35,
}

local function some_members(random, count)
  local members = {}
  for i = 1, count do members[i] = member('i' .. i, random(4) == 1 and random(1000) or random(5), random(5) > 1) end
  return members
end

--- Which of `members` are tried (each with one chance in three, and as many in a row as `all` says), and whether one is left.
local function some_tried(random, members)
  local tried, left, all = {}, false, random(5) == 1
  for _, each in ipairs(members) do
    if all or random(3) == 1 then tried[each.id] = true end
    left = left or (each.eligible and not tried[each.id])
  end
  return tried, left
end

for _, name in ipairs(balancing.ALGORITHMS) do
  describe('the picker ' .. name, function()
    local options = { max_load_percent = name == 'consistent_hash' and 125 or 0 }
    local function new(members, roll) return balancing.picker(name, members, roll, options) end

    it('gives shares that follow the weights', function()
      for _, weights in ipairs {
        { a = 1, b = 1, c = 1 }, { a = 5, b = 3, c = 2 }, { a = 9, b = 1 }, { a = 100, b = 50, c = 25, d = 12, e = 6 },
        { a = 0.5, b = 0.25, c = 2 ^ 0.5 }, { a = 1000000, b = 500000, c = 300000 },
      } do
        local members, sum = balancing.members(weights), 0
        for _, each in ipairs(members) do sum = sum + each.weight end
        local picks = 20000
        local counts = balancing.count(new(members, 0.37), picks)
        for _, each in ipairs(members) do
          local wanted = picks * each.weight / sum
          local off = math.abs((counts[each.id] or 0) - wanted)
          assert.is_true(off <= 2 + wanted * LOOSE[name], ('%s of %d: %d'):format(each.id, wanted, counts[each.id] or 0))
        end
      end
    end)

    it('gives them under load too, when all answer alike', function()
      local members = balancing.members({ a = 5, b = 3, c = 2 })
      local subject, random, open, counts, now = new(members, 0.61), tools.random(12), {}, { a = 0, b = 0, c = 0 }, 0
      for i = 1, 20000 do
        now = now + 100
        if #open >= 24 then
          local ended = table.remove(open, random(#open))
          leave(ended)
          if subject.observe then subject:observe(ended, 2400, false, now) end
        end
        local picked = enter(subject:pick(nil, key(i), now))
        open[#open + 1], counts[picked.id] = picked, counts[picked.id] + 1
      end
      for id, share in pairs({ a = 0.5, b = 0.3, c = 0.2 }) do
        local off = math.abs(counts[id] / 20000 / share - 1)
        assert.is_true(off < 0.2, ('%s has %.3f instead of %.1f'):format(id, counts[id] / 20000, share))
      end
    end)

    it('never picks who is not selected or was tried, in any combination', function()
      local random = tools.random(4)
      for round = 1, 400 do
        local members = some_members(random, random(10) - 1)
        local subject, open = new(members, random()), {}
        for i = 1, 30 do
          local tried, left = some_tried(random, members)
          local given = random(4) > 1 and key(round * 30 + i) or nil
          local picked = subject:pick(random(2) == 1 and tried or nil, given, i)
          if picked then
            tools.ensure(picked.eligible)
            open[#open + 1] = enter(picked)
          else
            tools.ensure(not left or #members == 0)
          end
          picked = subject:pick(tried, given, i)
          tools.ensure(left == (picked ~= nil))
          tools.ensure(not picked or (picked.eligible and not tried[picked.id]))
          if #open > 5 then leave(table.remove(open, random(#open))) end
        end
      end
    end)

    it('walks through all of them before it says that there is none', function()
      local random = tools.random(5)
      for round = 1, 200 do
        local members, tried = some_members(random, random(12)), {}
        local subject, eligible = new(members, random()), 0
        for _, each in ipairs(members) do eligible = eligible + (each.eligible and 1 or 0) end
        for i = 1, eligible do
          local picked = subject:pick(i > 1 and tried or nil, key(round), i)
          tools.ensure(not tried[picked.id])
          tried[picked.id] = true
        end
        assert.is_nil(subject:pick(tried, key(round), 0))
      end
    end)

    it('picks nobody when all are at weight 0, and the only one when there is one', function()
      for count = 0, 3 do
        local members = {}
        for i = 1, count do members[i] = member('i' .. i, 0) end
        local subject = new(members, 0.5)
        assert.equal(0, subject.size)
        assert.is_nil(subject:pick(nil, nil, 1))
        assert.is_nil(subject:pick({}, nil, 1))
        assert.is_nil(subject:pick(nil, 7, 1))
        assert.is_nil(subject:pick({}, 7, 1))
      end
      local subject = new({ member('a', 0), member('b', 3), member('c', 5, false) }, 0.999)
      assert.equal(1, subject.size)
      for i = 1, 20 do assert.equal('b', subject:pick(i % 2 == 0 and { a = true } or nil, key(i), i).id) end
      assert.is_nil(subject:pick({ b = true }, 7, 1))
    end)

    it('spreads what a broken peer leaves over the others by their weights', function()
      local members = balancing.members({ a = 5, b = 4, c = 2, d = 2 })
      local subject, counts = new(members, 0.1), { b = 0, c = 0, d = 0 }
      for i = 1, 4000 do
        local second = subject:pick({ a = true }, key(i), i)
        counts[second.id] = counts[second.id] + 1
      end
      assert.is_true(math.abs(counts.b - 2000) < 500, 'b got ' .. counts.b)
      assert.is_true(math.abs(counts.c - 1000) < 350, 'c got ' .. counts.c)
      assert.is_true(math.abs(counts.d - 1000) < 350, 'd got ' .. counts.d)
    end)

    it('does not march in step with another worker', function()
      local members, first, same = {}, {}, 0
      for i = 1, 10 do members[i] = member('i' .. i, 10) end
      for roll = 0, 99 do first[new(members, roll / 100):pick(nil, nil, 1).id] = true end
      local count = 0
      for _ in pairs(first) do count = count + 1 end
      assert.is_true(count >= 7, 'only ' .. count .. ' peers are ever first')
      local one, other = new(members, 0.11), new(members, 0.57)
      for i = 1, 1000 do
        if one:pick(nil, nil, i).id == other:pick(nil, nil, i).id then same = same + 1 end
      end
      assert.is_true(same < 300, 'the same peer ' .. same .. ' times of 1000')
    end)
  end)
end

describe('any history of sets and algorithms', function()
  local WORKER = 'w'

  local function document(random)
    local peers = {}
    for i = 1, random(9) - 1 do
      local state = ({ 'up', 'up', 'up', 'suspect', 'draining', 'isolated' })[random(6)]
      peers[i] = {
        id = 'i' .. random(2) .. i, host = '10.0.0.1', port = 80, version = 'v1', weight = random(6) - 1, down = random(9) == 1,
        state = state, zone = '', backup = false, keep_sticky = false,
      }
    end
    return {
      kind = 'set', service = 'shop', timeouts = { connect_ms = 1, send_ms = 1, read_ms = 1 }, peers = peers,
      balancer = {
        algorithm = balancing.ALGORITHMS[random(6)], max_load_percent = random(2) == 1 and 125 or 0,
        hash_on = { source = 'path', name = '' },
      },
    }
  end

  local function may_serve(each)
    return each.weight > 0 and (each.state_name == 'up' or each.state_name == 'suspect')
  end

  it('keeps what is open, and picks nobody that the set in force does not allow', function()
    for seed = 1, 40 do
      local random = tools.random(seed * 7919)
      local current, retiring, open, now = nil, {}, {}, 0
      for _ = 1, 60 do
        local old = current
        current = upstream.build(document(random), WORKER, old, retiring, random())
        -- As worker/live.lua does it.
        for id, each in pairs(old and old.by_id or {}) do
          if not current.by_id[id] and each.peer.open > 0 then
            each.peer.retired, each.peer.retiring, retiring[id] = true, retiring, each.peer
          end
        end
        local eligible = {}
        for _, each in ipairs(current.members) do
          if may_serve(each) and each.eligible then eligible[each.id] = true end
        end
        for _ = 1, random(30) do
          now = now + random(5000)
          local tried, left = some_tried(random, current.members)
          if random(2) == 1 then tried, left = nil, next(eligible) ~= nil end
          local picked = current.picker:pick(tried, random(3) > 1 and key(now), now)
          tools.ensure(left == (picked ~= nil), '%d to choose from', current.picker.size)
          if picked then
            tools.ensure(eligible[picked.id] and not (tried and tried[picked.id]))
            open[#open + 1] = enter(picked)
          end
          if #open > 0 and random(2) == 1 then
            local ended = table.remove(open, random(#open))
            leave(ended)
            if current.picker.observe then current.picker:observe(ended, random(9000), random(4) == 1, now) end
            if ended.peer.open == 0 and ended.peer.retiring then retiring[ended.id], ended.peer.retiring = nil, nil end
          end
        end
        local sum, counted = {}, current.picker.open
        for _, each in ipairs(open) do sum[each.id] = (sum[each.id] or 0) + 1 end
        local inside = 0
        for _, each in ipairs(current.members) do
          tools.ensure((sum[each.id] or 0) == each.peer.open)
          if each.share > 0 and eligible[each.id] then inside = inside + each.peer.open end
        end
        if current.picker.bound then assert.equal(inside, counted) end
      end
    end
  end)

  it('keeps the position of the round robin and the averages, whatever comes in between', function()
    local function set(algorithm)
      local peers = {}
      for i, weight in ipairs { 5, 3, 2 } do
        peers[i] = {
          id = 'i' .. i, host = '10.0.0.1', port = 80, version = 'v1', weight = weight, down = false, state = 'up', zone = '',
          backup = false,
        }
      end
      local balancer = { algorithm = algorithm, max_load_percent = 125, hash_on = { source = 'path', name = '' } }
      return { kind = 'set', service = 'shop', balancer = balancer, peers = peers }
    end
    for _, between in ipairs(balancing.ALGORITHMS) do
      local random = tools.random(8)
      local current = upstream.build(set('weighted_round_robin'), WORKER, nil, {}, 0.4)
      local counts = { i1 = 0, i2 = 0, i3 = 0 }
      for _ = 1, 500 do
        local picked = current.picker:pick(nil, nil, 0)
        counts[picked.id] = counts[picked.id] + 1
        current = upstream.build(set(between), WORKER, current, {}, random())
        local turning = random(2) == 1 and 'least_connections' or 'weighted_round_robin'
        current = upstream.build(set(turning), WORKER, current, {}, random())
      end
      assert.is_true(math.abs(counts.i1 - 250) <= 2 and math.abs(counts.i2 - 150) <= 2 and math.abs(counts.i3 - 100) <= 2,
        ('%s: %d, %d, %d'):format(between, counts.i1, counts.i2, counts.i3))

      current = upstream.build(set('ewma'), WORKER, current, {}, 0.2)
      for i = 1, 200 do
        for _, each in ipairs(current.members) do
          current.picker:observe(each, each.id == 'i1' and 50000 or 1000, false, i * 200000)
        end
      end
      local known = current.by_id.i1.peer.average
      assert.is_true(known > 40000)
      current = upstream.build(set(between), WORKER, current, {}, random())
      current = upstream.build(set('ewma'), WORKER, current, {}, random())
      assert.equal(known, current.by_id.i1.peer.average)
      local slow = 0
      for _ = 1, 1000 do
        if current.picker:pick(nil, nil, 40000000).id == 'i1' then slow = slow + 1 end
      end
      assert.is_true(slow < 50, between .. ' forgot who is slow: ' .. slow)
    end
  end)
end)
