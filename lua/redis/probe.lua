--[[ Answers whether a controller may publish: tries the writes of a publication, and changes nothing.

Promise: meta keeps every member (the layout is written over itself), the index gets none. What Redis refuses (no memory, no
permission, a replica, a disk that fails) comes back as its error. A key of another type is no refusal: a new epoch mends it.

KEYS  1 meta      {ebb}:meta   HASH
      2 index     {ebb}:index  ZSET
Returns 'writable'
]]
local meta_key, index_key = KEYS[1], KEYS[2]

local function try(...)
  local answer = redis.pcall(...)
  local refusal = type(answer) == 'table' and answer.err
  if refusal and not string.find(refusal, '^WRONGTYPE') then return nil, answer end
  return answer
end

local meta, refused = try('HMGET', meta_key, 'layout')
if not refused and meta[1] == '1' then
  local _
  _, refused = try('HSET', meta_key, 'layout', '1')
end
if refused then return refused end
local _, also = try('ZADD', index_key, 'XX', '0', '@nobody')
return also or 'writable'
