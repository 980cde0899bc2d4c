--- Who sends a request, by the API key that it brings. A key is never made a text here: nothing that is logged or answered has
--- it.
local ffi = require 'ffi'
local network = require 'ebbgate.core.network'
local query_key = require 'ebbgate.phase.http.query_key'
local request_head = require 'ebbgate.phase.http.request_head'
local clock = require 'ebbgate.worker.clock'
local live = require 'ebbgate.worker.live'

local authenticate = {}

local ngx, C = ngx, ffi.C
local clear_header = ngx.req.clear_header
local wall = clock.wall
--- No key is longer (control-plane/src/model/api_consumer.ts).
local MOST = 256
local BEARER = 7
local BEARER_WORD = 'bearer '

--- What a query had: how many different keys, and the first. Nothing yields while it is in use.
local given = { count = 0, text = false, length = 0 }

--- Takes the key out of the query: for `refusal`.
function authenticate.take(auth)
  given.count, given.text, given.length = query_key.take(auth.query)
  return given
end

--- Whether a value has the form of `Authorization: Bearer KEY`.
local function is_bearer(text, length)
  if length <= BEARER then return false end
  for i = 0, BEARER - 1 do
    local c = text[i]
    if c >= 65 and c <= 90 then c = c + 32 end
    if c ~= string.byte(BEARER_WORD, i + 1) then return false end
  end
  return true
end

--- Adds what the head has: how many different keys there are now, the first, and its length.
local function with_head(auth, count, text, length)
  local name = auth.header
  local at, value, size = request_head.next(name, 0)
  while at do
    if auth.bearer and not is_bearer(value, size) then
      size = 0
    elseif auth.bearer then
      value, size = value + BEARER, size - BEARER
    end
    if size > 0 then
      if count == 0 then
        count, text, length = 1, value, size
      elseif size ~= length or C.memcmp(value, text, size) ~= 0 then
        count = count + 1
      end
    end
    at, value, size = request_head.next(name, at + 1)
  end
  return count, text, length
end

--- The key that `count` texts, of which `text` is the first, prove; or nil, the code of a refusal, and the result to count.
local function prove(count, text, length)
  if count == 0 then return nil, 'unauthenticated', 'missing' end
  if count > 1 then return nil, 'ambiguous_key', 'unknown' end
  local keys = live.api_keys
  if not keys or length == 0 or length > MOST then return nil, 'unauthenticated', 'unknown' end
  local number, those = keys:find(text, length)
  if not number then return nil, 'unauthenticated', 'unknown' end
  return number, those
end

--- The code of a refusal, and the result to count: whether a key may come here now.
local function check(auth, number, those, var)
  local expires = those:expires(number)
  if expires ~= 0 and expires <= wall() then return 'unauthenticated', 'expired' end
  local _, terms = those:consumer(number)
  if terms.services and not terms.services(auth.service) then return 'forbidden', 'not_allowed' end
  if terms.networks and not network.contains(terms.networks, network.plain(var.binary_remote_addr)) then
    return 'forbidden', 'not_allowed'
  end
  return nil, 'admitted'
end

--- The key of the request that `refusal` has admitted last, and the table that it is in.
local proven, its_table = false, false

--- Who sends the request, in the variables of it that instance, log and limits read.
local function name_consumer(number, those, var)
  proven, its_table = number, those
  var.ebb_consumer = those:consumer(number)
  var.ebb_key_id = those:id(number)
end

--- What the request brings: the key and its table; or nil, the code of a refusal, and the result to count.
local function read(auth, query, var, again)
  -- Another service has admitted it, and may have taken the key out.
  if again and var.ebb_consumer ~= '' then return proven, its_table end
  local count, text, length = 0, nil, 0
  if query then count, text, length = query.count, query.text, query.length end
  if auth.header then count, text, length = with_head(auth, count, text, length) end
  return prove(count, text, length)
end

--- Nil if the request brings a key of a consumer that may come here; or the code of its refusal, and what the answer says of it.
--- `query`: what `take` gave, or false. `request_head.clean` has looked at the head. `again`: as in admit.refusal.
function authenticate.refusal(auth, query, var, again)
  local number, those, result = read(auth, query, var, again)
  local code = not number and those or nil
  if number then code, result = check(auth, number, those, var) end
  live.counters:authenticated(auth.counted, result)
  if not code then name_consumer(number, those, var) end
  -- Also of a refused request: what is logged of it may show this header.
  if auth.header and (code or not auth.pass_key) then clear_header(auth.header) end
  if code then return code, code == 'unauthenticated' and auth or nil end
  return nil
end

return authenticate
