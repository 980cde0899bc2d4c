--- What limiters keep of each key, in an array of fixed size: a table of sets with eight slots each, found by 64 bits of the
--- key's hash.
---
--- Keys may be many more than slots, and whoever wants to can invent millions. A new key of a full set takes the slot of the one
--- that is soonest idle, which is when forgetting it costs nothing. One that is forgotten before that begins afresh: it regains
--- one burst, or one window. No other memory is touched, and no key costs more than a look at eight slots.
---
---   high, low   the hash, as two signed numbers; 0, 0 is a slot that nobody has
---   at          token and leaky bucket: when it is full or empty again. Windows: when this one began
---   spent       in this window; open requests
---   before      in the window before this one
---   idle_at     when the slot says no more than a new one does; 0 of a new one
---   seen, first, sent, heard, users   of limits of all gateways: core/limit/cluster_bucket.lua
local bit = require 'bit'

local band = bit.band

local slots = {}
slots.__index = slots

local WAYS = 8

--- Bytes of one slot; its declaration for ffi.
slots.DECLARATION = 'struct { int32_t high, low; double at, spent, before, idle_at, seen; '
  .. 'uint32_t first, sent, heard; int32_t users; }'
slots.BYTES = 64

--- `array`: of at least `count` slots, numbered from 0, all 0. `count` is a power of two, and 8 at least.
function slots.new(array, count)
  return setmetatable({ array = array, mask = count / WAYS - 1, evicted = 0 }, slots)
end

--- The slot at a place, or nil if another key has it by now.
function slots:at(place, high, low)
  local slot = self.array[place]
  return slot.low == low and slot.high == high and slot or nil
end

--- The slot of a key, or nil if it has none.
function slots:seek(high, low)
  local array, first = self.array, band(low, self.mask) * WAYS
  for i = first, first + WAYS - 1 do
    local slot = array[i]
    if slot.low == low and slot.high == high then return slot end
  end
  return nil
end

--- The slot of a key, and its place in the array; a new one if it has none.
function slots:find(high, low, now)
  local array, first = self.array, band(low, self.mask) * WAYS
  local oldest, place = array[first], first
  for i = first, first + WAYS - 1 do
    local slot = array[i]
    if slot.low == low and slot.high == high then return slot, i end
    if slot.idle_at < oldest.idle_at then oldest, place = slot, i end
  end
  if oldest.idle_at > now then self.evicted = self.evicted + 1 end
  oldest.high, oldest.low, oldest.at, oldest.spent, oldest.before, oldest.idle_at = high, low, 0, 0, 0, 0
  oldest.seen, oldest.first, oldest.sent, oldest.heard, oldest.users = 0, 0, 0, 0, 0
  return oldest, place
end

return slots
