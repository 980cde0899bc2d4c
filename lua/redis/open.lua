--[[ Opens an epoch: the only script that raises it.

Promise: afterwards meta has `epoch`, unsealed, and its generation is at least the highest one that Redis
remembers (in meta or in the index), so generations never restart over sets that are still here. The sets stay.
An epoch that is open already is answered again and nothing is written: a late duplicate must not take the seal off.
A meta that cannot be read counts as missing, because only opening mends it.

KEYS  1 meta    {ebb}:meta    HASH
      2 index   {ebb}:index   ZSET
ARGV  1 epoch   decimal
      2 channel where the hint "<epoch>:<generation>" goes
Returns {'opened', generation} | {'fenced', epoch that is open}
]]
local meta_key, index_key = KEYS[1], KEYS[2]
local epoch, channel = ARGV[1], ARGV[2]

local function whole(text)
  return text and #text <= 16 and string.match(text, '^%d+$') and tonumber(text) or nil
end

local meta = redis.pcall('HMGET', meta_key, 'epoch', 'generation')
if meta.err then
  redis.call('DEL', meta_key)
  meta = {}
end
local open_epoch, generation = whole(meta[1]), whole(meta[2])
if open_epoch and open_epoch > tonumber(epoch) then return { 'fenced', meta[1] } end
if open_epoch == tonumber(epoch) and generation then return { 'opened', meta[2] } end

local newest = redis.pcall('ZREVRANGE', index_key, 0, 0, 'WITHSCORES')
if newest.err then
  redis.call('DEL', index_key)
  newest = {}
end
generation = string.format('%.0f', math.max(generation or 0, tonumber(newest[2]) or 0))
redis.call('HSET', meta_key, 'epoch', epoch, 'generation', generation, 'sealed', '0', 'layout', '1')
redis.call('PUBLISH', channel, epoch .. ':' .. generation)
return { 'opened', generation }
