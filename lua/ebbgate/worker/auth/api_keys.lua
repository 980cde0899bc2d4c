--- The keys of all consumers, as this worker knows them. Each look-up reads the generation key of the document that has the key,
--- so that a key is given or revoked in all workers once the gateway has acked it (worker/follow/store.lua).
local ffi = require 'ffi'
local key_table = require 'ebbgate.worker.auth.key_table'
local keys = require 'ebbgate.core.keys'
local wire = require 'ebbgate.core.wire'
local newer_document = require 'ebbgate.worker.newer_document'

local api_keys = {}
api_keys.__index = api_keys

local digest = ffi.new('uint8_t[32]')
local words = ffi.cast('const int32_t *', digest)

--- `sets`: the dictionary; `tools`: for wire.decode; `sha256`: of worker/auth/sha256.lua.
function api_keys.new(sets, tools, sha256)
  local self = setmetatable({
    sets = sets, tools = tools, sha256 = sha256, names = {}, stamp_keys = {}, stamps = {}, tables = {},
  }, api_keys)
  for first = 0, 255 do
    local name = string.format('%s:%02x', wire.KEYS, first)
    self.names[first], self.stamp_keys[first] = name, keys.sets.stamp(name)
    self.stamps[first], self.tables[first] = false, false
  end
  return self
end

--- Brings the keys that begin with `first` up to their document. What cannot be read has no keys: the gateway has acked that it
--- obeys it, so what was before must not prove anybody.
local function refresh(self, first)
  local name = self.names[first]
  local document, stamp, reason =
    newer_document(self.sets, self.tools, name, self.stamp_keys[first], self.stamps[first] or nil)
  if reason then ngx.log(ngx.ERR, 'ebbgate: ', name, ' cannot be read: ', reason) end
  if document and document.kind == 'keys' then
    self.tables[first] = key_table.new(document)
  elseif document or reason or not stamp then
    self.tables[first] = false
  end
  self.stamps[first] = stamp or false
end

--- The key whose text is in `length` bytes at `text`: its number and the table that it is in (worker/auth/key_table.lua), or nil.
function api_keys:find(text, length)
  self.sha256(text, length, digest)
  local first = digest[0]
  if (self.sets:get(self.stamp_keys[first]) or false) ~= self.stamps[first] then refresh(self, first) end
  local those = self.tables[first]
  if not those then return nil end
  local number = those:find(words, digest[1], digest[2])
  if not number then return nil end
  return number, those
end

return api_keys
