--[[ Replaces the copy of the truth, or a part of it.

Promise: the copy changes from one whole to the next whole, in the call that commits; what was staged before counts for nothing.
One of a higher epoch is never replaced, and neither is one that is not where the caller believes it.

KEYS  1 meta      {ebb}:meta              HASH
      2 head      {ebb}:copy              HASH    head, epoch, revision
      3 records   {ebb}:copy:records      HASH    record → JSON
      4 staged    {ebb}:copy:staged       HASH    the same, of a copy that is being written
      5 previous  {ebb}:copy:previous     HASH    as head
      6 its       {ebb}:copy:previous:records
      7 audit     {ebb}:copy:audit        HASH    number in ten digits → JSON; first, last
ARGV  1 step      begin | stage | replace | change | audit | forget
                  begin forgets what was staged; stage adds records; replace makes what was staged the copy;
                  change writes the records given into the copy, and drops those with an empty text;
                  audit adds records behind the last one, and drops the oldest, 2,000 in a call at the most;
                  forget drops all of these
      2 epoch     of the caller, decimal
      3 expected  revision of the copy that a change is to; of audit the last number that is there, 0 for none; 0 for the others
      4 head      JSON without the records; for replace and change. Of audit how many numbers are kept
      5 keep      1 = the copy becomes the previous one first; for replace and change
      6 …         record, text, record, text, …
Returns {'done', revision} (of audit and forget {'done', last}) | {'fenced', epoch} | {'conflict'}
]]
local meta_key, head_key, records_key = KEYS[1], KEYS[2], KEYS[3]
local staged_key, previous_key, its_key, audit_key = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local step, epoch, expected, head, keep = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local open_epoch = redis.call('HGET', meta_key, 'epoch')
if open_epoch and tonumber(open_epoch) > tonumber(epoch) then return { 'fenced', open_epoch } end
local of, revision = unpack(redis.call('HMGET', head_key, 'epoch', 'revision'))
if of and tonumber(of) > tonumber(epoch) then return { 'fenced', of } end

if step == 'forget' then
  redis.call('DEL', audit_key)
  return { 'done', '0' }
end
if step == 'audit' then
  local first, last = unpack(redis.call('HMGET', audit_key, 'first', 'last'))
  if (last or '0') ~= expected then return { 'conflict' } end
  for at = 6, #ARGV, 2 do
    redis.call('HSET', audit_key, ARGV[at], ARGV[at + 1])
    first, last = first or tostring(tonumber(ARGV[at])), tostring(tonumber(ARGV[at]))
  end
  local least = math.max(tonumber(first), math.min(tonumber(first) + 2000, tonumber(last) - tonumber(head) + 1))
  for n = tonumber(first), least - 1 do redis.call('HDEL', audit_key, string.format('%010d', n)) end
  redis.call('HSET', audit_key, 'first', string.format('%.0f', least), 'last', last)
  return { 'done', last }
end

if step == 'begin' then redis.call('DEL', staged_key) end
if step == 'begin' or step == 'stage' then
  for at = 6, #ARGV, 2 do redis.call('HSET', staged_key, ARGV[at], ARGV[at + 1]) end
  return { 'done', '0' }
end
if step == 'change' and (not revision or revision ~= expected) then return { 'conflict' } end

if keep == '1' and revision then
  redis.call('DEL', previous_key, its_key)
  redis.call('RENAME', head_key, previous_key)
  if redis.call('EXISTS', records_key) == 1 then
    if step == 'change' then redis.call('COPY', records_key, its_key)
    else redis.call('RENAME', records_key, its_key) end
  end
end
if step == 'replace' then
  redis.call('DEL', records_key)
  if redis.call('EXISTS', staged_key) == 1 then redis.call('RENAME', staged_key, records_key) end
end
for at = 6, #ARGV, 2 do
  if ARGV[at + 1] == '' then redis.call('HDEL', records_key, ARGV[at])
  else redis.call('HSET', records_key, ARGV[at], ARGV[at + 1]) end
end
local next_revision = string.format('%.0f', tonumber(revision or '0') + 1)
redis.call('HSET', head_key, 'head', head, 'epoch', epoch, 'revision', next_revision)
return { 'done', next_revision }
