--- Sticky sessions: a cookie names the instance that a client came to, by a token.
---
--- A token tells nothing of the instance to who does not know it already, and gives no right: one that is forged names some
--- instance of the service that the client could have come to by chance, or none.
local bit = require 'bit'
local hash = require 'ebbgate.core.hash'

local sticky = {}

--- The same on every gateway and after every restart: 64 bits in hex.
function sticky.token(service, id)
  local text = service .. '|' .. id
  return bit.tohex(hash.text(text, 0x1ebb)) .. bit.tohex(hash.text(text, 0x2ebb))
end

--- What a fleet keeps of the set's `balancer.sticky`; false if it has none.
function sticky.settings(given)
  if not given then return false end
  local age = given.max_age_s > 0 and '; Max-Age=' .. given.max_age_s or ''
  return {
    variable = 'cookie_' .. given.cookie, before = given.cookie .. '=', after = '; Path=/' .. age .. '; HttpOnly; SameSite=Lax',
  }
end

--- The value of Set-Cookie.
function sticky.cookie(settings, token, secure)
  return settings.before .. token .. settings.after .. (secure and '; Secure' or '')
end

return sticky
