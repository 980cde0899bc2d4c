--- Sticky sessions: a cookie names the instance that a client came to, by a token.
---
--- A token gives no right: one that is forged names some instance of the service that the client could have come to by chance,
--- or none. With a key it says nothing of the instance. Without one, who guesses an address can see that the guess is right.
local bit = require 'bit'
local hash = require 'ebbgate.core.hash'

local sticky = {}

local LEAST, MOST, MOST_KEYS = 32, 128, 8

--- The keys in the text of a key file, one a line, the one that names first; empty lines and those that begin with # are left
--- out. Or nil and why not.
function sticky.read_keys(text)
  local list, number = {}, 0
  for line in string.gmatch(text .. '\n', '([^\n]*)\n') do
    number = number + 1
    local key = string.match(line, '^%s*(.-)%s*$')
    if key ~= '' and string.sub(key, 1, 1) ~= '#' then
      if #key < LEAST or #key > MOST or string.find(key, '[^\33-\126]') then
        return nil, 'line ' .. number .. ' must be a key of 32 to 128 visible characters'
      end
      list[#list + 1] = key
    end
  end
  if #list == 0 then return nil, 'it has no key' end
  if #list > MOST_KEYS then return nil, 'it has more than ' .. MOST_KEYS .. ' keys' end
  return list
end

--- How instances are named: function (service, id) → the token that is given out, and a list of others that are understood.
--- `mac(key, text)` gives at least 8 bytes. Without keys the token is `sticky.token`.
function sticky.namer(list, mac)
  if not list or #list == 0 then return function(service, id) return sticky.token(service, id), {} end end
  local function made(key, service, id)
    return (string.gsub(string.sub(mac(key, service .. '|' .. id), 1, 8), '.', function(c)
      return string.format('%02x', string.byte(c))
    end))
  end
  return function(service, id)
    local further = {}
    for i = 2, #list do further[i - 1] = made(list[i], service, id) end
    return made(list[1], service, id), further
  end
end

--- The same on every gateway and after every restart, without a key: 64 bits in hex.
function sticky.token(service, id)
  local text = service .. '|' .. id
  return bit.tohex(hash.text(text, 0x1ebb)) .. bit.tohex(hash.text(text, 0x2ebb))
end

--- What an upstream keeps of the set's `balancer.sticky`; false if it has none.
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
