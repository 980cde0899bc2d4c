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

local band, byte, copy = bit.band, string.byte, ffi.copy

local key_table = {}
key_table.__index = key_table

pcall(ffi.cdef, [[
  typedef struct { union { int32_t hash[8]; uint8_t bytes[32]; }; double expires; uint32_t consumer; char id[12]; } ebbgate_key;
]])
--- As many places as two bytes of a hash can name.
local MOST_PLACES = 65536

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

--- The value of a digit of hexadecimal, by its byte.
local digits = {}
for value = 0, 15 do digits[byte(string.format('%x', value))] = value end

local function write_hash(entry, text)
  for i = 0, 31 do
    local high, low = byte(text, i * 2 + 1, i * 2 + 2)
    entry.bytes[i] = digits[high] * 16 + digits[low]
  end
end

local function is_same(a, b)
  return a[0] == b[0] and a[1] == b[1] and a[2] == b[2] and a[3] == b[3] and a[4] == b[4] and a[5] == b[5] and a[6] == b[6]
    and a[7] == b[7]
end

--- `document`: of core/keys_document.lua; no hash is in it twice. There are four times as many places as keys, so that
--- most keys are at the first that is looked at; a place has the number of a key, from 1.
function key_table.new(document)
  local given, places = document.keys, 8
  while places < #given * 4 and places < MOST_PLACES do places = places * 2 end
  local entries, index, mask = ffi.new('ebbgate_key[?]', #given + 1), ffi.new('uint16_t[?]', places), places - 1
  local self = setmetatable({ entries = entries, index = index, mask = mask, names = {}, terms = {} }, key_table)
  for i, consumer in ipairs(document.consumers) do
    self.names[i], self.terms[i] = consumer.name, terms_of(consumer.services, consumer.networks)
  end
  for number, one in ipairs(given) do
    local entry = entries[number]
    write_hash(entry, one.hash)
    copy(entry.id, one.id, 12)
    entry.consumer, entry.expires = one.consumer + 1, one.expires or 0
    local at = band(entry.bytes[1] + entry.bytes[2] * 256, mask)
    while index[at] ~= 0 do at = band(at + 1, mask) end
    index[at] = number
  end
  return self
end

--- Beyond the first places. Apart from `find`, because a loop within it would keep that from being compiled.
local function find_beyond(self, digest, at)
  local index, entries, mask = self.index, self.entries, self.mask
  local number = index[at]
  while number ~= 0 do
    if is_same(entries[number].hash, digest) then return number end
    at = band(at + 1, mask)
    number = index[at]
  end
  return nil
end

--- The number of the key with the digest at `digest` (32 bytes, as eight int32_t), or nil. `second`, `third`: those of its bytes.
function key_table:find(digest, second, third)
  local index, entries, mask = self.index, self.entries, self.mask
  local at = band(second + third * 256, mask)
  local number = index[at]
  if number == 0 then return nil end
  if is_same(entries[number].hash, digest) then return number end
  at = band(at + 1, mask)
  number = index[at]
  if number == 0 then return nil end
  if is_same(entries[number].hash, digest) then return number end
  return find_beyond(self, digest, band(at + 1, mask))
end

--- When a key is over, in unix seconds; 0 = never.
function key_table:expires(number) return self.entries[number].expires end

--- Whose a key is: the name, and the terms.
function key_table:consumer(number)
  local at = self.entries[number].consumer
  return self.names[at], self.terms[at]
end

--- The id of a key.
function key_table:id(number) return ffi.string(self.entries[number].id, 12) end

return key_table
