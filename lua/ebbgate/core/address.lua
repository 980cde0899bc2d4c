--- IP literals. nginx's balancer takes nothing else: a name would need a resolver on the request's path.
local find, match, gmatch, sub = string.find, string.match, string.gmatch, string.sub

local address = {}

local function is_ipv4(host)
  local a, b, c, d = match(host, '^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$')
  if not a then return false end
  for _, part in ipairs({ a, b, c, d }) do
    -- A leading zero is octal to some readers and decimal to others.
    if tonumber(part) > 255 or (#part > 1 and sub(part, 1, 1) == '0') then return false end
  end
  return true
end

--- Counts the groups of one side of an IPv6 literal; nil if one of them is none. `last` may end in an IPv4 literal.
local function groups(side, last)
  if side == '' then return 0 end
  if sub(side, 1, 1) == ':' or sub(side, -1) == ':' then return nil end
  local count, tail = 0, false
  for group in gmatch(side, '[^:]+') do
    if tail then return nil end
    if match(group, '^%x%x?%x?%x?$') then
      count = count + 1
    elseif last and is_ipv4(group) then
      count, tail = count + 2, true
    else
      return nil
    end
  end
  return count
end

local function is_ipv6(host)
  if not match(host, '^[%x:.]+$') or find(host, ':::', 1, true) then return false end
  local gap = find(host, '::', 1, true)
  if not gap then return groups(host, true) == 8 end
  if find(host, '::', gap + 1, true) then return false end
  local right = sub(host, gap + 2)
  local before, after = groups(sub(host, 1, gap - 1), false), groups(right, true)
  return before ~= nil and after ~= nil and before + after <= 7
end

--- 4 or 6 for an IPv4 or IPv6 literal without brackets or zone, else nil.
function address.family(host)
  if #host > 45 then return nil end
  if is_ipv4(host) then return 4 end
  if is_ipv6(host) then return 6 end
  return nil
end

--- The literal as it is written before a port: IPv6 in brackets.
function address.in_url(host)
  return find(host, ':', 1, true) and '[' .. host .. ']' or host
end

return address
