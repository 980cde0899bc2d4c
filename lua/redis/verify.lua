--[[ Answers whether sets are still as they were published.

Promise: nothing is written. A set is as it was published if its epoch, its generation and its hash are those that are asked
for, the hash is that of the payload, and the index has its name at this generation. What cannot be read is not as it was.

KEYS  1 index        {ebb}:index       ZSET
      2 … sets       {ebb}:set:<name>  HASH
ARGV  name, epoch, generation (decimal) and hash of each set, in the order of the keys
Returns the position of the first set that differs, from 1; 0 = none does
]]
local index_key = KEYS[1]

local function is_listed(name, generation)
  local listed = redis.pcall('ZRANGE', index_key, generation, generation, 'BYSCORE')
  for i = 1, #listed do
    if listed[i] == name then return true end
  end
  return false
end

for i = 1, #KEYS - 1 do
  local name, epoch, generation, hash = ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]
  local set = redis.pcall('HMGET', KEYS[i + 1], 'epoch', 'generation', 'hash', 'payload')
  local same = set[1] == epoch and set[2] == generation and set[3] == hash
  if not same or not set[4] or redis.sha1hex(set[4]) ~= hash or not is_listed(name, generation) then return i end
end
return 0
