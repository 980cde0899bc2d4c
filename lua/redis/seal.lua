--[[ Seals an epoch: from now on a set that is absent from the index is a removed one.

Promise: only the open epoch is sealed, and only while Redis still has everything that its controller has published in it.
Safe to repeat.

KEYS  1 meta      {ebb}:meta   HASH
ARGV  1 epoch     decimal
      2 seen      highest generation that the caller has seen; below it Redis has lost sets that must not look removed
      3 channel   where the hint "<epoch>:<generation>" goes
Returns {'sealed'} | {'lost'} | {'fenced', epoch that is open}
]]
local meta_key = KEYS[1]
local epoch, seen, channel = ARGV[1], ARGV[2], ARGV[3]

local function whole(text)
  return text and #text <= 16 and string.match(text, '^%d+$') and tonumber(text) or nil
end

local meta = redis.pcall('HMGET', meta_key, 'epoch', 'generation')
if meta.err then return { 'lost' } end
local open_epoch, generation = whole(meta[1]), whole(meta[2])
if open_epoch and open_epoch > tonumber(epoch) then return { 'fenced', meta[1] } end
if not open_epoch or not generation then return { 'lost' } end
if open_epoch < tonumber(epoch) or generation < tonumber(seen) then return { 'lost' } end

redis.call('HSET', meta_key, 'sealed', '1')
redis.call('PUBLISH', channel, epoch .. ':' .. meta[2])
return { 'sealed' }
