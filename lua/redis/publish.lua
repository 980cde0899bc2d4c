--[[ Publishes one set as the next generation, unless that could undo something newer.

Promise: the set, its index entry and meta's generation change together or not at all. Safe to repeat, and safe when
an older call arrives late. The order of the checks matters; each is for its own accident:
  fenced    a higher epoch is open: the caller is not the leader, whatever else is true.
  lost      meta is missing or unreadable, its epoch is lower than the caller's, or its generation is below what the
            caller has seen: Redis was wiped or went back. Before `same`, because old data may have equal bytes.
  same      the set is published in this epoch with exactly these bytes: this call, or its twin, was applied before and only
            the answer was lost. Before `conflict`, because that very success moved the set away from what the caller
            expects. Only within this epoch: a new one needs every set at a new generation. The stored bytes
            are compared too, not only the hash, so that a damaged payload is replaced; the index entry is set again.
  conflict  the set is not where the caller believes: a late duplicate of an older call ends here and overwrites nothing.

KEYS  1 meta      {ebb}:meta        HASH
      2 set       {ebb}:set:<name>  HASH
      3 index     {ebb}:index       ZSET
ARGV  1 epoch     of the caller, decimal
      2 seen      highest generation that the caller has seen
      3 name      of the set
      4 expected  generation at which the caller believes the set; 0 = absent
      5 at        RFC 3339
      6 hash      SHA-1 of the payload, hex (the caller vouches for it, the gateways check it)
      7 payload
      8 channel   where the hint "<epoch>:<generation>" goes
Returns {'published', generation} | {'same', generation} | {'conflict', generation (0 = absent), its epoch}
        | {'lost'} | {'fenced', epoch that is open}
]]
local meta_key, set_key, index_key = KEYS[1], KEYS[2], KEYS[3]
local epoch, seen, name, expected = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local at, hash, payload, channel = ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local function whole(text)
  return text and #text <= 16 and string.match(text, '^%d+$') and tonumber(text) or nil
end

local meta = redis.pcall('HMGET', meta_key, 'epoch', 'generation')
if meta.err then return { 'lost' } end
local open_epoch, generation = whole(meta[1]), whole(meta[2])
if open_epoch and open_epoch > tonumber(epoch) then return { 'fenced', meta[1] } end
if not open_epoch or not generation then return { 'lost' } end
if open_epoch < tonumber(epoch) or generation < tonumber(seen) then return { 'lost' } end

local set = redis.pcall('HMGET', set_key, 'epoch', 'generation', 'hash', 'payload')
local wrong_type = set.err ~= nil
if wrong_type then set = {} end
local set_epoch, set_generation = whole(set[1]), whole(set[2])
if set_generation and set_epoch == open_epoch and set[3] == hash and set[4] == payload then
  redis.call('ZADD', index_key, set[2], name)
  return { 'same', set[2] }
end
if (set_generation or 0) ~= tonumber(expected) then
  return { 'conflict', set_generation and set[2] or '0', set_epoch and set[1] or '0' }
end

-- The first write is one that a full Redis refuses, so a refusal leaves nothing half done.
local next_generation = string.format('%.0f', redis.call('HINCRBY', meta_key, 'generation', 1))
if wrong_type then redis.call('DEL', set_key) end
redis.call('ZADD', index_key, next_generation, name)
redis.call('HSET', set_key, 'epoch', epoch, 'generation', next_generation, 'hash', hash, 'at', at, 'payload', payload)
redis.call('PUBLISH', channel, epoch .. ':' .. next_generation)
return { 'published', next_generation }
