--- The client's Connection header (RFC 9110, 7.6.1): the headers that it names end at this gateway.
local gmatch, lower = string.gmatch, string.lower

local connection = {}

--- Values that name no header; almost every request has one of them or none.
local PLAIN = { ['keep-alive'] = true, close = true, upgrade = true }

--- Names that a client must not take away: they frame the message, or the gateway stands on them.
local KEPT = { host = true, ['content-length'] = true, ['transfer-encoding'] = true, upgrade = true }

--- The names to strip, as a list, or nil if there is none. `value` may be nil.
function connection.nominated(value)
  if not value or PLAIN[value] then return nil end
  local names
  for token in gmatch(lower(value), '[^%s,]+') do
    if not PLAIN[token] and not KEPT[token] then
      names = names or {}
      names[#names + 1] = token
    end
  end
  return names
end

return connection
