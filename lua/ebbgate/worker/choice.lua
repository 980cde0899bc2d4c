--- Which instance a try goes to: the one that the client's cookie names, one that waits for its half-open request, or one that
--- the picker picks; where the set bounds what an instance may have open, one that has room.
local named = require('ebbgate.core.upstream').named
local open_counts = require 'ebbgate.worker.limit.open_counts'

local choice = {}

--- Where all workers count the open requests of a member.
local function counts_of(member, memory)
  local peer = member.peer
  if not peer.counts then
    peer.counts = open_counts.new(memory, 'instance|' .. member.service .. '|' .. peer.id)
  end
  return peer.counts
end

--- Shows the other workers what is open on instances that are bounded from now on.
function choice.note_open(upstream, memory)
  for _, member in ipairs(upstream.members) do
    if member.peer.open > 0 then counts_of(member, memory):note(member.peer.open) end
  end
end

--- The member that this try goes to, or nil; then its lease, if it is half-open.
local function choose(live, entry, current, tried, key, now, token, limit)
  local kept = token and named(current, token, tried)
  if kept then return kept end
  if current.half_open and not tried then
    local member, lease = live.health.half_open:take(entry, current, limit)
    if member then return member, lease end
  end
  local member = current.picker:pick(tried, key, now)
  if not member and tried and current.spare then return current.spare:pick(tried, key, now) end
  return member
end

--- Ids that are not to be picked, for one pick that meets full instances.
local passed_over = {}

--- `choose` among the members that have room for a request: it has a place there then. The third value: whether somebody had
--- none.
local function choose_free(live, entry, current, tried, key, now, token, limit)
  local shunned, memory = tried, live.policy_parts.memory
  for _ = 0, current.reach do
    local member, lease = choose(live, entry, current, shunned, key, now, token, limit)
    if not member then return nil, nil, shunned ~= tried end
    if counts_of(member, memory):open(member.peer.open, current.most) then return member, lease end
    if lease then live.abandon(lease) end
    if shunned == tried then
      for id in pairs(passed_over) do passed_over[id] = nil end
      for id in pairs(tried or passed_over) do passed_over[id] = true end
      shunned = passed_over
    end
    passed_over[member.id] = true
  end
  return nil, nil, true
end

--- As above. `live`: worker/live.lua; the others as in live.enter.
function choice.member(live, entry, current, tried, key, now, token, limit)
  local find = current.most and choose_free or choose
  return find(live, entry, current, tried, key, now, token, limit)
end

return choice
