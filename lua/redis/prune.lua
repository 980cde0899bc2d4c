--[[ Takes tombstones out: the sets of services that are no more, once every gateway has followed them.

Promise: only under the open epoch, and only while it is sealed, because only then absence means removal to a gateway. A set
that is not at the generation that is named, or whose bytes have another hash than the tombstone's, stays: it was published
again. Set and index entry go together. meta stays, so that generations never restart. Safe to repeat: what is absent counts
as taken out. No hint goes out: a gateway that followed the tombstone finds its absence at the next comparison of everything.

KEYS  1 meta        {ebb}:meta        HASH
      2 index       {ebb}:index       ZSET
      3 … sets      {ebb}:set:<name>  HASH
ARGV  1 epoch       of the caller, decimal
      2 seen        highest generation that the caller has seen
      3 … name, generation (decimal) and hash of each tombstone, in the order of the keys
Returns {'pruned', how many of the sets are absent now} | {'unsealed'} | {'lost'} | {'fenced', epoch that is open}
]]
local meta_key, index_key = KEYS[1], KEYS[2]
local epoch, seen = ARGV[1], ARGV[2]

local function whole(text)
  return text and #text <= 16 and string.match(text, '^%d+$') and tonumber(text) or nil
end

local meta = redis.pcall('HMGET', meta_key, 'epoch', 'generation', 'sealed')
if meta.err then return { 'lost' } end
local open_epoch, generation = whole(meta[1]), whole(meta[2])
if open_epoch and open_epoch > tonumber(epoch) then return { 'fenced', meta[1] } end
if not open_epoch or not generation then return { 'lost' } end
if open_epoch < tonumber(epoch) or generation < tonumber(seen) then return { 'lost' } end
if meta[3] ~= '1' then return { 'unsealed' } end

local absent = 0
for i = 3, #KEYS do
  local name, at, hash = ARGV[3 * i - 6], ARGV[3 * i - 5], ARGV[3 * i - 4]
  local set = redis.pcall('HMGET', KEYS[i], 'epoch', 'generation', 'hash')
  local is_absent = not set.err and not set[1] and not set[2] and not set[3]
  if is_absent or (set[1] == meta[1] and set[2] == at and set[3] == hash) then
    redis.call('ZREM', index_key, name)
    redis.call('DEL', KEYS[i])
    absent = absent + 1
  end
end
return { 'pruned', string.format('%.0f', absent) }
