--- The position of a publication, (epoch, generation), compared by epoch first, and the records of fixed width that
--- the gateway keeps.
local format, sub, match = string.format, string.sub, string.match

local position = {}

local LIMIT = 2 ^ 53
local BLANK_HASH = string.rep('0', 40)

--- A whole number below 2^53 from its decimal text, or nil.
function position.whole(text)
  if type(text) ~= 'string' or #text > 16 or not match(text, '^%d+$') then return nil end
  local number = tonumber(text)
  return number < LIMIT and number or nil
end

--- True if (epoch, generation) is above (other_epoch, other_generation).
function position.newer(epoch, generation, other_epoch, other_generation)
  if epoch ~= other_epoch then return epoch > other_epoch end
  return generation > other_generation
end

--- The decimal text of a whole number below 2^53.
function position.text(number)
  return format('%.0f', number)
end

--- `epoch` and `generation` in 33 characters, always: a shared dictionary replaces values of one length in place.
function position.pack(epoch, generation)
  return format('%016.0f:%016.0f', epoch, generation)
end

--- The reverse of `pack`: epoch, generation; or nil.
function position.unpack(text)
  if not text then return nil end
  return tonumber(sub(text, 1, 16)), tonumber(sub(text, 18, 33))
end

--- What the gateway knows of one set, in 77 characters, always. `saved`: its file on disk is this very publication.
--- `restless`: it lists a peer that is neither `up` nor `suspect`, so its requests are reported more often. `removed`: it is a
--- tombstone, and never restless.
function position.pack_record(record)
  local kind = record.removed and 'x' or record.restless and 'r' or '-'
  return format(
    '%016.0f:%016.0f:%s:%s%s',
    record.epoch, record.generation, record.hash or BLANK_HASH, record.saved and 's' or '-', kind
  )
end

--- The reverse of `pack_record`, or nil.
function position.unpack_record(text)
  if not text then return nil end
  return {
    epoch = tonumber(sub(text, 1, 16)),
    generation = tonumber(sub(text, 18, 33)),
    hash = sub(text, 35, 74),
    saved = sub(text, 76, 76) == 's',
    restless = sub(text, 77, 77) == 'r',
    removed = sub(text, 77, 77) == 'x',
  }
end

return position
