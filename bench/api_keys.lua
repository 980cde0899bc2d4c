--- What 100,000 API keys cost a worker: a look-up, with its SHA-256 and without, the building of what it looks in, and memory.
--- Run: LUA_PATH='lua/?.lua;;' luajit bench/api_keys.lua [keys]
local ffi = require 'ffi'
local cjson = require 'cjson'
local keys = require 'ebbgate.core.keys'
local wire = require 'ebbgate.core.wire'
local api_keys = require 'ebbgate.worker.auth.api_keys'
local sha256 = require 'ebbgate.worker.auth.sha256'

local COUNT, ROUNDS, LOOKUPS, SAMPLE = tonumber(arg[1]) or 100000, 5, 1000000, 65536
local KEY_BYTES = 47

local function libcrypto()
  for _, name in ipairs { 'libcrypto.so.3', 'libcrypto.so.1.1', 'crypto' } do
    local found, library = pcall(ffi.load, name)
    if found then return library end
  end
  error('there is no libcrypto')
end

local hash = sha256.new(libcrypto())
local digest = ffi.new('uint8_t[32]')

local function text_of(i) return ('ebk_%043d'):format(i * 7919) end

local function hex(text)
  hash(text, #text, digest)
  local parts = {}
  for i = 0, 31 do parts[i + 1] = ('%02x'):format(digest[i]) end
  return table.concat(parts)
end

--- The documents of as many consumers as keys, one key each, in a table in place of the shared dictionary.
local function publish(sets)
  local documents, longest = {}, 0
  for i = 1, COUNT do
    local of = hex(text_of(i))
    local name = wire.KEYS .. ':' .. of:sub(1, 2)
    local document = documents[name] or { v = 1, service = name, consumers = {}, keys = {} }
    documents[name] = document
    document.consumers[#document.consumers + 1] = { name = ('consumer-%d'):format(i) }
    document.keys[#document.keys + 1] = { hash = of, id = ('%012x'):format(i), consumer = #document.consumers - 1 }
  end
  local bytes = 0
  for name, document in pairs(documents) do
    local payload = cjson.encode(document)
    longest, bytes = math.max(longest, #payload), bytes + #payload
    sets.entries[keys.sets.stamp(name)], sets.entries[keys.sets.document(name, 1)] = 1, payload
  end
  return bytes, longest
end

local function best(count, run)
  local least = math.huge
  for _ = 1, ROUNDS do
    local began = os.clock()
    run(count)
    least = math.min(least, (os.clock() - began) / count * 1e9)
  end
  return least
end

--- Keys and what is no key as bytes, as a head has them.
local function sample(make)
  local room = ffi.new('uint8_t[?]', SAMPLE * KEY_BYTES)
  for i = 0, SAMPLE - 1 do ffi.copy(room + i * KEY_BYTES, make(i), KEY_BYTES) end
  return room
end
local there = sample(function(i) return text_of(i % COUNT + 1) end)
local absent = sample(function(i) return ('ebk_x%042d'):format(i) end)
local near = sample(function(i) return text_of(i % COUNT + 1):sub(1, KEY_BYTES - 1) .. 'x' end)

local sets = { entries = {} }
function sets:get(key) return self.entries[key] end
local bytes, longest = publish(sets)
collectgarbage() collectgarbage()
local before = collectgarbage('count')
local known = api_keys.new(sets, { json = cjson.decode }, hash)

local began = os.clock()
for i = 0, SAMPLE - 1 do known:find(there + i * KEY_BYTES, KEY_BYTES) end
local first = (os.clock() - began) * 1e3
local function looking(in_room, expected)
  return function(count)
    local found = 0
    for i = 1, count do
      if known:find(in_room + i % SAMPLE * KEY_BYTES, KEY_BYTES) then found = found + 1 end
    end
    assert(found == (expected and count or 0))
  end
end
local function hashing(count)
  for i = 1, count do hash(there + i % SAMPLE * KEY_BYTES, KEY_BYTES, digest) end
end
local rows = {
  { 'a key that is there', best(LOOKUPS, looking(there, true)) },
  { 'a key that is not', best(LOOKUPS, looking(absent, false)) },
  { 'a key of which the last character is wrong', best(LOOKUPS, looking(near, false)) },
  { 'SHA-256 alone', best(LOOKUPS, hashing) },
}
-- One document that changes is built again by the next request that needs it.
local name = next(sets.entries)
while not name:find('^stamp|') do name = next(sets.entries, name) end
local document = sets.entries[keys.sets.document(name:sub(7), 1)]
local build = best(20, function(count)
  for i = 1, count do
    sets.entries[name], sets.entries[keys.sets.document(name:sub(7), i + 1)] = i + 1, document
    known.stamps[tonumber(name:sub(-2), 16)] = false
    local slot = tonumber(name:sub(-2), 16)
    -- Whatever begins with that byte.
    known.sha256 = function(_, _, into) into[0] = slot end
    known:find(there, KEY_BYTES)
  end
end) / 1e6
known.sha256 = hash
collectgarbage() collectgarbage()
local heap, native = collectgarbage('count') - before, 0
for i = 0, 255 do
  local those = known.tables[i]
  if those then native = native + ffi.sizeof(those.entries) + ffi.sizeof(those.index) end
end
local pause = os.clock()
collectgarbage()
pause = (os.clock() - pause) * 1e3
for _, row in ipairs(rows) do print(('%s\t%.0f'):format(row[1], row[2])) end
print(('build\t%.2f'):format(build))
print(('first\t%.0f'):format(first))
print(('heap\t%.1f'):format(heap / 1024))
print(('native\t%.1f'):format(native / 1048576))
print(('collection\t%.1f'):format(pause))
print(('documents\t%.1f'):format(bytes / 1048576))
print(('longest\t%.0f'):format(longest / 1024))
