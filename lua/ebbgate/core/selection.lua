--- Who of a set may get new requests, and how much of them: one list, built once per change, that every picker obeys.

local selection = {}

--- True if the set lets new requests go to `p` (docs/contract/wire.md).
function selection.eligible(p)
  return (p.state == 'up' or p.state == 'suspect') and p.weight > 0 and not p.down
end

--- The members that new requests may go to, each with its `share` set (> 0; only ratios matter; may be a fraction).
function selection.choose(members)
  local chosen = {}
  for i = 1, #members do
    local member = members[i]
    if member.eligible then
      member.share = member.weight
      chosen[#chosen + 1] = member
    end
  end
  return chosen
end

return selection
