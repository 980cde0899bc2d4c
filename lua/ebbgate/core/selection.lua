--- Which instances of a set may get new requests, and how many of them: one list, built once per change. Pickers
--- choose from it alone.
---
--- The rules, the stronger first:
---   1. What the set forbids is never used, whatever else is broken: down, weight 0, any state but `up` and `suspect`.
---   2. Instances that are ejected or fail their checks are left out …
---   3. … and backups are used only when the primaries cannot do it: none is usable, or more than max_ejected_percent of those
---      that are `up` are out. In the second case the usable primaries go on beside the backups.
---   4. Panic: too many primaries are out, and too many backups (or there are none). Then health says more about itself than
---      about the instances, and is ignored for primaries that are `up`, with their full weights and whatever their zone.
---      A suspect that is out stays out.
---   5. The gateway's own zone comes first, if the set wants that. With less than its fair share of the weight it gets as
---      much less of the requests: the rest goes to the others.

local selection = {}

--- True if the set lets new requests go to `p` (docs/contract/wire.md).
function selection.eligible(p)
  return (p.state == 'up' or p.state == 'suspect') and p.weight > 0 and not p.down
end

--- The eligible primaries, or backups: `usable`, and the `up` ones of which `out` are not usable.
local function tier_of(members, backup)
  local tier = { usable = {}, up = {}, out = 0 }
  for i = 1, #members do
    local member = members[i]
    if member.eligible and (member.backup or false) == backup then
      local condition = member.condition
      local usable = not (condition and condition.out)
      if usable then tier.usable[#tier.usable + 1] = member end
      if member.state_name ~= 'suspect' then
        tier.up[#tier.up + 1] = member
        if not usable then tier.out = tier.out + 1 end
      end
    end
  end
  return tier
end

local function carries(tier, percent)
  return #tier.usable > 0 and tier.out * 100 <= percent * #tier.up
end

local function append(list, more)
  for i = 1, #more do list[#list + 1] = more[i] end
  return list
end

--- Every `up` member of the tier, and the suspects that are usable.
local function regardless(tier)
  local list = append({}, tier.up)
  for i = 1, #tier.usable do
    if tier.usable[i].state_name == 'suspect' then list[#list + 1] = tier.usable[i] end
  end
  return list
end

--- Rules 2 to 4: the list, whether that is panic, and the backups in reserve.
local function by_health(members, percent)
  local primaries, backups = tier_of(members, false), tier_of(members, true)
  if carries(primaries, percent) then return primaries.usable, false, backups.usable end
  if carries(backups, percent) then return append(primaries.usable, backups.usable), false, {} end
  if #primaries.up > 0 then return append(regardless(primaries), backups.usable), true, {} end
  -- Suspects alone are no reason to panic.
  if #primaries.usable > 0 then return primaries.usable, false, backups.usable end
  local list = regardless(backups)
  return list, backups.out > 0 and #list > 0, {}
end

local function weigh(chosen, panic)
  for i = 1, #chosen do
    local member = chosen[i]
    local condition = not panic and member.condition
    member.share = condition and member.weight * condition.factor or member.weight
  end
end

--- Sums of the shares: of all, of `zone`; and the number of zones.
local function measure(chosen, zone)
  local total, own, zones, seen = 0, 0, 0, {}
  for i = 1, #chosen do
    local member = chosen[i]
    total = total + member.share
    if member.zone == zone then own = own + member.share end
    if not seen[member.zone] then seen[member.zone], zones = true, zones + 1 end
  end
  return total, own, zones
end

--- Rule 5. With `fraction` = own weight / (total / number of zones): below 1 the own zone gets that fraction of the requests, and
--- the others the rest by their weights; from 1 on it gets all, and the others are spares. Example: own 100, others 100
--- and 400 in two zones: a fair share is 200, so half of the requests stay.
local function by_zone(chosen, zone)
  local total, own, zones = measure(chosen, zone)
  local fraction = own * zones / total
  if own == 0 or own == total then return chosen, {} end
  if fraction < 1 then
    for i = 1, #chosen do
      local member = chosen[i]
      local part, whole = 1 - fraction, total - own
      if member.zone == zone then part, whole = fraction, own end
      -- Times the total, so that shares stay near the weights they come from.
      member.share = member.share / whole * part * total
    end
    return chosen, {}
  end
  local near, far = {}, {}
  for i = 1, #chosen do
    local list = chosen[i].zone == zone and near or far
    list[#list + 1] = chosen[i]
  end
  return near, far
end

--- The members that new requests may go to, each `selected`, with its `share` set (> 0; only ratios matter; may be a fraction).
--- Then {panic, spare}: `spare` are those that a retry may go to when all of the first list were tried. A spare that is one
--- only because of its zone is `afar`.
---   members  each has eligible, backup, weight, zone, state_name, condition (core/health.lua; nil = healthy)
---   rules    {max_ejected_percent, prefer_zone, zone (the gateway's)}; nil = 50, no preference
function selection.choose(members, rules)
  local chosen, panic, standby = by_health(members, rules and rules.max_ejected_percent or 50)
  weigh(chosen, panic)
  local far = {}
  if rules and rules.prefer_zone and rules.zone ~= '' and not panic and #chosen > 0 then
    chosen, far = by_zone(chosen, rules.zone)
    for i = 1, #far do far[i].afar = true end
  end
  if #far == 0 then
    weigh(standby, false)
    far = standby
  end
  for i = 1, #chosen do chosen[i].selected = true end
  return chosen, { panic = panic, spare = far }
end

return selection
