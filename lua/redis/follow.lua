--[[ What a gateway has missed: one consistent answer to "what is above my position?".

Promise: meta and the index entries are of one moment, and nothing is written. Entries come in the order of their
generations. `whole` says that the entries are the complete index: so they are when the caller's epoch is another one,
or asks for everything by naming epoch 0. Only then does an absent name mean anything.
A meta or an index that cannot be read is an error: unknown is not empty.

KEYS  1 meta        {ebb}:meta    HASH
      2 index       {ebb}:index   ZSET
ARGV  1 epoch       of the gateway's position, decimal; 0 = none, or "all of it"
      2 generation  of the gateway's position, decimal
Returns {} if there is no meta, else {epoch, generation, sealed '0' | '1', whole '0' | '1', name, generation, name, …}
]]
local meta_key, index_key = KEYS[1], KEYS[2]
local epoch, generation = ARGV[1], ARGV[2]

local meta = redis.call('HMGET', meta_key, 'epoch', 'generation', 'sealed')
if not meta[1] and not meta[2] then return {} end

local whole = meta[1] ~= epoch
local entries = redis.call('ZRANGEBYSCORE', index_key, whole and '-inf' or '(' .. generation, '+inf', 'WITHSCORES')
local answer = { meta[1] or '', meta[2] or '', meta[3] == '1' and '1' or '0', whole and '1' or '0' }
for i = 1, #entries do answer[4 + i] = entries[i] end
return answer
