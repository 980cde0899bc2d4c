--- Puts validated sets in force, in the one order that makes an ack survive everything:
--- disk, then the document, then the generation key, then the record. `applied` moves after all of them (sync.lua).
local keys = require 'ebbgate.core.keys'
local position = require 'ebbgate.core.position'

local AT = string.byte('@')

local store = {}
store.__index = store

--- `disk` may be nil (while the master loads from it). `guard()`, if given, says whether this worker may still write.
function store.new(sets, disk, guard)
  return setmetatable({ sets = sets, disk = disk, guard = guard }, store)
end

--- What is in force under `name`: {epoch, generation, hash, saved, restless, removed}, or nil.
function store:record(name)
  return position.unpack_record(self.sets:get(keys.sets.record(name)))
end

--- Every record, by name.
function store:records()
  local records = {}
  for _, key in ipairs(self.sets:get_keys(0)) do
    local name = keys.sets.name_of_record(key)
    local record = name and self:record(name)
    -- Position 0 is a place that was reserved for a set which then did not fit.
    if record and record.epoch > 0 then records[name] = record end
  end
  return records
end

--- The names of all services, as a list: cheaper than the records. Routes and keys are of none.
function store:names()
  local names = {}
  for _, key in ipairs(self.sets:get_keys(0)) do
    local name = keys.sets.name_of_record(key)
    if name and string.byte(name) ~= AT then names[#names + 1] = name end
  end
  return names
end

--- The payload in force under `name`, or nil.
function store:payload(name)
  local stamp = self.sets:get(keys.sets.stamp(name))
  return stamp and self.sets:get(keys.sets.document(name, stamp))
end

--- Makes the keys of fixed size, so that what follows can only fail at the document, which replaces nothing.
local function reserve(self, name)
  local stamp_key, record_key = keys.sets.stamp(name), keys.sets.record(name)
  local made, err = self.sets:safe_add(record_key, position.pack_record({ epoch = 0, generation = 0 }))
  if not made and err ~= 'exists' then return nil, err end
  return stamp_key, record_key
end

local function write_record(self, name, publication, saved)
  return self.sets:safe_set(keys.sets.record(name), position.pack_record({
    epoch = publication.epoch, generation = publication.generation, hash = publication.hash,
    saved = saved, restless = publication.restless, removed = publication.removed,
  }))
end

--- Puts `publication` {epoch, generation, hash, payload, restless, removed} in force for every worker. `saved`: the disk
--- has it. Nil and why if it does not fit; the one before stays in force then.
function store:share(name, publication, saved)
  local stamp_key, err = reserve(self, name)
  if not stamp_key then return nil, err end
  local stamp, full = self.sets:incr(keys.sets.last_stamp, 1)
  if not stamp then return nil, full end
  local old = self.sets:get(stamp_key)
  local document_key = keys.sets.document(name, stamp)
  local stored, why = self.sets:safe_set(document_key, publication.payload)
  if stored then stored, why = self.sets:safe_set(stamp_key, stamp) end
  if not stored then
    self.sets:delete(document_key)
    return nil, why
  end
  if old then self.sets:delete(keys.sets.document(name, old)) end
  write_record(self, name, publication, saved)
  return true
end

--- Writes the file. When the disk fails the set is still put in force, since serving comes first, but `applied` must wait:
--- an ack says that a restart would not undo it.
local function save(self, name, publication)
  local saved, err = self.disk:write(name, publication)
  if saved then return true end
  return false, err
end

--- Puts a new publication in force. Returns 'applied', or 'unsaved' and why (in force, but not on disk), or 'refused' and
--- why (no room: the one before stays), or 'yielded' (another worker syncs now). Rests
--- at `turn` (worker/pace.lua) before the disk and before the dictionary, so that traffic waits for one step at most.
function store:apply(name, publication, turn)
  turn:rest()
  if not self.guard() then return 'yielded' end
  local saved, disk_err = save(self, name, publication)
  turn:rest()
  if not self.guard() then return 'yielded' end
  local shared, err = self:share(name, publication, saved)
  if not shared then return 'refused', err end
  if not saved then return 'unsaved', disk_err end
  return 'applied'
end

--- True if a file can be written now.
function store:writable() return self.disk:try() == true end

--- Tries again to write the file of a set that is in force. True, or nil and why.
function store:save_again(name, record)
  local payload = self:payload(name)
  if not payload then return nil, 'its payload is gone' end
  record.payload = payload
  local saved, err = save(self, name, record)
  if not saved then return nil, err end
  write_record(self, name, record, true)
  return true
end

--- Forgets a set for ever: pruned from Redis, so that absence is its tombstone. True, or nil and why.
function store:remove(name)
  if not self.guard() then return nil, 'another worker syncs now' end
  local removed, err = self.disk:remove(name)
  if not removed then return nil, err end
  local stamp = self.sets:get(keys.sets.stamp(name))
  self.sets:delete(keys.sets.stamp(name))
  if stamp then self.sets:delete(keys.sets.document(name, stamp)) end
  self.sets:delete(keys.sets.record(name))
  return true
end

return store
