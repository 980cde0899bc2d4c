--- The keys of one published document (`@keys:<xx>`, docs/contract/wire.md), found by the SHA-256 of what a client presents.
---
--- Nothing here sees a key. A digest says nothing of other texts than its own, so a comparison that ends early says nothing
--- either: whoever guesses cannot come nearer step by step.
---
--- All keys are in one piece of memory that the garbage collector does not look into: 100,000 of them would else be visited by
--- each worker at each of its collections.
local bit = require 'bit'
local ffi = require 'ffi'
local auth = require 'ebbgate.core.auth'
local network = require 'ebbgate.core.network'

local band, copy, byte = bit.band, ffi.copy, string.byte

local key_table = {}
key_table.__index = key_table

pcall(ffi.cdef, [[
  typedef struct { int32_t hash[8]; double expires; uint32_t consumer; char id[12]; } ebbgate_key;
]])
local EMPTY = 0xffffffff
local words = ffi.typeof('const int32_t *')

--- One set of terms, of all consumers that have the same: {services (says of a name whether it is one; false = all), networks
--- (list of core/network.lua; false = any)}. Most consumers share a few, so they are kept once in a worker.
local known = setmetatable({}, { __mode = 'v' })

local function terms_of(services, networks)
  local name = table.concat(services, ',') .. ' ' .. table.concat(networks, ',')
  local terms = known[name]
  if terms then return terms end
  terms = { services = #services > 0 and auth.matcher(services), networks = false }
  for i = 1, #networks do
    terms.networks = terms.networks or {}
    terms.networks[i] = network.parse(networks[i])
  end
  known[name] = terms
  return terms
end

local function hex_bytes(text)
  return (string.gsub(text, '..', function(pair) return string.char(tonumber(pair, 16)) end))
end

local function is_same(a, b)
  return a[0] == b[0] and a[1] == b[1] and a[2] == b[2] and a[3] == b[3] and a[4] == b[4] and a[5] == b[5] and a[6] == b[6]
    and a[7] == b[7]
end

--- Puts a key at the first free place from that of its hash on; true if it is there already.
local function put(self, bytes, given)
  local slots, mask = self.slots, self.mask
  local at = band(byte(bytes, 2) + byte(bytes, 3) * 256, mask)
  local digest = ffi.cast(words, bytes)
  while slots[at].consumer ~= EMPTY do
    if is_same(slots[at].hash, digest) then return true end
    at = band(at + 1, mask)
  end
  local slot = slots[at]
  copy(slot.hash, bytes, 32)
  copy(slot.id, given.id, 12)
  slot.consumer, slot.expires = given.consumer, given.expires or 0
  return false
end

--- `document`: of core/keys_document.lua. Its keys have twice as many places as they need, so that nearly each is found at once.
function key_table.new(document)
  local count = 8
  while count < #document.keys * 2 do count = count * 2 end
  local self = setmetatable({
    slots = ffi.new('ebbgate_key[?]', count), mask = count - 1, names = {}, terms = {}, count = #document.keys,
  }, key_table)
  for i = 0, count - 1 do self.slots[i].consumer = EMPTY end
  for i, consumer in ipairs(document.consumers) do
    self.names[i], self.terms[i] = consumer.name, terms_of(consumer.services, consumer.networks)
  end
  for _, given in ipairs(document.keys) do put(self, hex_bytes(given.hash), given) end
  return self
end

--- The key with the digest at `digest` (32 bytes, as eight int32_t), or nil: its slot {expires (unix seconds, 0 = never),
--- consumer, id}. `second`, `third`: those of its bytes.
function key_table:find(digest, second, third)
  local slots, mask = self.slots, self.mask
  local at = band(second + third * 256, mask)
  while true do
    local slot = slots[at]
    if slot.consumer == EMPTY then return nil end
    if is_same(slot.hash, digest) then return slot end
    at = band(at + 1, mask)
  end
end

--- Whose key a slot has: its name, and its terms.
function key_table:consumer(slot)
  local at = slot.consumer + 1
  return self.names[at], self.terms[at]
end

--- The id of a key.
function key_table.id(slot) return ffi.string(slot.id, 12) end

return key_table
