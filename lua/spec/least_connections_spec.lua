package.path = 'lua/spec/?.lua;' .. package.path
local balancing = require 'balancing'
local tools = require 'tools'

local function new(members, roll) return balancing.picker('least_connections', members, roll or 0.3) end

describe('least connections', function()
  it('never picks a peer while another would carry less with the request than this one does without it', function()
    local random = tools.random(31)
    for _ = 1, 60 do
      local weights = {}
      for i = 1, random(20) do weights['i' .. i] = random(2) == 1 and 1 or random(50) end
      local members = balancing.members(weights)
      -- What is open from before counts too.
      for _, each in ipairs(members) do each.peer.open = random(8) - 1 end
      local subject, open = new(members, random()), {}
      for _ = 1, 300 do
        if #open > 0 and random(2) == 1 then balancing.leave(table.remove(open, random(#open))) end
        local picked = subject:pick()
        for _, other in ipairs(members) do
          tools.ensure(picked.peer.open / picked.share < (other.peer.open + 1) / other.share)
        end
        open[#open + 1] = balancing.enter(picked)
      end
    end
  end)

  it('gives a light peer neither everything it is idle for, nor nothing', function()
    local members = balancing.members({ canary = 1, a = 100, b = 100 })
    local subject, open, canary = new(members), {}, 0
    local random = tools.random(32)
    for _ = 1, 20100 do
      if #open >= 8 then balancing.leave(table.remove(open, random(#open))) end
      local picked = balancing.enter(subject:pick())
      open[#open + 1] = picked
      if picked.id == 'canary' then canary = canary + 1 end
    end
    assert.is_true(canary > 40 and canary < 160, 'the canary got ' .. canary .. ' of 20100')
  end)

  it('leaves a peer that hangs with no more than the others have', function()
    local members = balancing.members({ a = 1, b = 1, c = 1 })
    local subject, open, hung = new(members), {}, 0
    for _ = 1, 3000 do
      if #open >= 6 then balancing.leave(table.remove(open, 1)) end
      local picked = balancing.enter(subject:pick())
      if picked.id == 'a' then hung = hung + 1 else open[#open + 1] = picked end
    end
    assert.is_true(hung <= 5, 'the hanging peer got ' .. hung)
  end)

  it('spreads retries away from who is busy', function()
    local members = balancing.members({ a = 1, b = 1, c = 1 })
    local subject = new(members)
    for _ = 1, 10 do balancing.enter(members[2]) end
    for _ = 1, 50 do assert.equal('c', subject:pick({ a = true }).id) end
  end)
end)
