package.path = 'lua/spec/?.lua;' .. package.path
local upstreams = require 'ebbgate.core.upstream'
local policies = require 'ebbgate.worker.policies'

--- Admits `limit` requests at a time, of services that say so; what it counts is in `entry`.
local function kind(field, code, finishes)
  return {
    new = function(document, entry)
      local limit = document[field]
      if not limit then return nil end
      entry[field] = entry[field] or 0
      return {
        admit = function()
          if entry[field] >= limit then return code end
          entry[field] = entry[field] + 1
        end,
        finish = finishes and function(_, context)
          entry[field] = entry[field] - 1
          entry.last = context
        end,
      }
    end,
  }
end

local KINDS = { kind('open', 'too_many', true), kind('total', 'over_limit', false) }

describe('the policies of a set', function()
  it('are none, unless the set wants some', function()
    assert.is_false(policies.of({}, {}, {}, KINDS))
    assert.is_false(policies.of({ open = 1 }, {}, {}))
    assert.equal(1, #policies.of({ total = 1 }, {}, {}, KINDS))
    assert.equal(2, #policies.of({ total = 1, open = 1 }, {}, {}, KINDS))
  end)

  it('are asked in their order, until one refuses', function()
    local entry = {}
    local list = policies.of({ open = 2, total = 3 }, entry, {}, KINDS)
    assert.is_nil(policies.refusal(list, {}))
    assert.is_nil(policies.refusal(list, {}))
    assert.equal('too_many', policies.refusal(list, {}))
    policies.finish(list, 'the context')
    assert.same({ 'the context', 1, 2 }, { entry.last, entry.open, entry.total })
    assert.is_nil(policies.refusal(list, {}))
    policies.finish(list, {})
    assert.equal('over_limit', policies.refusal(list, {}))
    -- The first had admitted it, and has given that back.
    assert.equal(1, entry.open)
  end)

  it('keep over sets what they keep on the entry', function()
    local entry = {}
    assert.is_nil(policies.refusal(policies.of({ open = 1 }, entry, {}, KINDS), {}))
    assert.equal('too_many', policies.refusal(policies.of({ open = 1 }, entry, {}, KINDS), {}))
  end)

  it('are what a plain upstream does not have', function()
    local function is_plain(list)
      return upstreams.build({ kind = 'set', service = 'shop', peers = {} }, 'w', nil, {}, 0, nil, nil, list).is_plain
    end
    assert.is_true(is_plain(false))
    assert.is_false(is_plain(policies.of({ open = 1 }, {}, {}, KINDS)))
  end)
end)
