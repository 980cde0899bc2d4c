--- One pass of following (docs/contract/wire.md, "How a gateway follows"): ask what is above our position, read and check
--- those sets, put in force what is newer, and only then move `applied`.
---
--- Unknown is not empty: a pass that cannot read something removes nothing, and `applied` stays as it was.
local keys = require 'ebbgate.core.keys'
local limit = require 'ebbgate.core.limit.limit'
local position = require 'ebbgate.core.position'
local publication = require 'ebbgate.core.publication'
local utf8 = require 'ebbgate.core.utf8'
local wire = require 'ebbgate.core.wire'
local clock = require 'ebbgate.worker.clock'
local pace = require 'ebbgate.worker.pace'
local redis = require 'ebbgate.worker.follow.redis'

local catch_up = {}
catch_up.__index = catch_up

--- Sets per round trip.
local SLICE = 32

--- parts {source, store, state, tools, json {encode, decode}, script {text, sha1}, problems, reporter, lock, health,
--- profiles (the names of the TLS profiles in this worker's conf, as ebb_state has those of the newest one)}
function catch_up.new(parts)
  return setmetatable(parts, catch_up)
end

--- The gateway's position: epoch, generation; 0, 0 before the first pass.
function catch_up:applied()
  local epoch, generation = position.unpack(self.state:get(keys.state.applied))
  return epoch or 0, generation or 0
end

--- What Redis has above our position, or the whole of it: {epoch, generation, sealed, whole, names, at = name →
--- generation}; false if it has no meta; nil and why.
local function ask(self, server, whole)
  local epoch, generation = self:applied()
  local arguments = {
    keys.redis.meta, keys.redis.index, whole and '0' or position.text(epoch), position.text(generation),
  }
  local answer, err = server:run(function(connection)
    return redis.script(connection, self.script, 2, arguments)
  end)
  if not answer then return nil, err end
  return publication.read_missed(answer)
end

--- True if Redis is below what we have seen: it was restarted with older data. Nothing in it counts then.
local function went_back(self, found)
  local epoch, generation = self:applied()
  if position.newer(epoch, generation, found.epoch, found.generation) then return true end
  epoch, generation = position.unpack(self.state:get(keys.state.floor))
  return epoch ~= nil and position.newer(epoch, generation, found.epoch, found.generation)
end

--- Generations are kept as text: the JSON encoder would round large ones.
local function reject(pass, name, number, code, detail)
  local known, generation = pass.rejected[name], position.text(number)
  if known and known.generation == generation and known.code == code then return end
  pass.rejected[name], pass.rejected_changed = { generation = generation, code = code }, true
  ngx.log(ngx.ERR, 'ebbgate: the set of ', name, ' at ', generation, ' is kept out: ', code, ' (', detail or '', ')')
end

local function accept(pass, name)
  if not pass.rejected[name] then return end
  pass.rejected[name], pass.rejected_changed = nil, true
  ngx.log(ngx.NOTICE, 'ebbgate: the set of ', name, ' is no longer rejected')
end

local function incomplete(self, pass, kind, detail)
  pass.complete = false
  self.problems:raise(kind, detail)
end

--- A publication that is not above what is in force: never applied, but it may show damage, or a file that still has to be
--- written.
local function compare(self, pass, name, found, record)
  if found.epoch ~= record.epoch or found.generation ~= record.generation then return accept(pass, name) end
  if found.hash ~= record.hash then
    return reject(pass, name, found.generation, 'hash_mismatch', 'it changed without a new generation')
  end
  if pass.rejected[name] then
    -- In force once, and then a reload took away what it names. A worker that this reload ends still knows that, and must not
    -- take the rejection back.
    if self.state:get(keys.state.profiles) ~= self.profiles then return end
    local document, code, detail = wire.decode(name, found.payload, self.tools)
    if not document then return reject(pass, name, found.generation, code, detail) end
  end
  accept(pass, name)
  if record.saved then return end
  local saved, err = self.store:save_again(name, record)
  if not saved then incomplete(self, pass, 'disk', err) end
end

--- Before the set is in force, so that no worker sees them at their full weight.
local function note_newcomers(self, name, document)
  if document.kind ~= 'set' or document.health.slow_start_ms == 0 then return end
  local payload = self.store:payload(name)
  local previous = payload and wire.decode(name, payload, self.tools)
  if previous then self.health:newcomers(document, previous) end
end

--- Checks a publication that is newer than what is in force, and puts it in force.
local function take(self, pass, name, found)
  local document, code, detail = wire.decode(name, found.payload, self.tools, found.hash)
  if not document then return reject(pass, name, found.generation, code, detail) end
  found.restless, found.removed = document.restless, document.kind == 'tombstone'
  note_newcomers(self, name, document)
  local outcome, why = self.store:apply(name, found, pass.turn)
  if outcome == 'yielded' then
    pass.complete = false
    return
  end
  if outcome == 'refused' then return reject(pass, name, found.generation, 'too_large', why) end
  accept(pass, name)
  self.reporter:watch(name, document)
  if limit.is_shared(document) then self.state:safe_set(keys.state.shares_limits, true) end
  if outcome == 'unsaved' then incomplete(self, pass, 'disk', why) end
end

--- True if what was read is older than the index that named it: another server has answered since, or this one went back.
local function is_older(pass, name, found)
  return pass.at[name] ~= nil and found.generation < pass.at[name]
end

local function handle(self, pass, name, reply, light)
  local found, wrong = publication.read(reply, ngx.null)
  if wrong == 'missing' then
    -- A name that only our list of rejected ones has may be no more.
    if pass.at[name] then incomplete(self, pass, 'missing_set', name) end
    return
  end
  if not found then return reject(pass, name, pass.at[name] or 0, 'bad_document', 'its hash in Redis is damaged') end
  if is_older(pass, name, found) then
    return incomplete(self, pass, 'missing_set', name .. ' is older than the index says')
  end
  local record = self.store:record(name)
  if record and not position.newer(found.epoch, found.generation, record.epoch, record.generation) then
    return compare(self, pass, name, found, record)
  end
  if light then
    pass.again[#pass.again + 1] = name
  else
    take(self, pass, name, found)
  end
end

--- True if the index shows nothing new under `name`: its hash will do then, without the payload.
local function is_known(self, pass, name)
  local record = self.store:record(name)
  return record ~= nil and record.epoch == pass.epoch and record.generation == pass.at[name] and not pass.rejected[name]
end

--- Reads `names` slice by slice and handles each. False if Redis went away or another worker took over.
local function read_sets(self, pass, names)
  for first = 1, #names, SLICE do
    local last, light = math.min(first + SLICE - 1, #names), {}
    local replies, err = pass.server:run(function(connection)
      local commands = {}
      for i = first, last do
        light[i] = is_known(self, pass, names[i])
        -- Without the payload, which we have: `unpack` ends at a nil.
        commands[#commands + 1] = {
          'hmget', keys.redis.set(names[i]), 'epoch', 'generation', 'hash', not light[i] and 'payload' or nil,
        }
      end
      return redis.pipeline(connection, commands)
    end)
    if not replies then
      pass.complete, pass.failure = false, err
      return false
    end
    for i = first, last do handle(self, pass, names[i], replies[i - first + 1], light[i]) end
    if ngx.worker.exiting() or not self.lock:take() then
      pass.complete = false
      return false
    end
  end
  return true
end

--- The names to read: those of the index, and those rejected before, which may have been mended.
local function names_to_read(pass)
  local names = {}
  for _, name in ipairs(pass.names) do
    if wire.is_name(name) then
      names[#names + 1] = name
    else
      -- As the heartbeat can report it: short, and UTF-8.
      local shown = utf8.clean(string.sub(name, 1, 128))
      pass.at[shown] = pass.at[name]
      reject(pass, shown, pass.at[name], 'bad_document', 'that is no name')
    end
  end
  for name in pairs(pass.rejected) do
    if not pass.at[name] and wire.is_name(name) then names[#names + 1] = name end
  end
  return names
end

--- Drops what a complete and sealed index does not name. An empty index drops nothing: more likely it was lost.
local function remove_absent(self, pass)
  for name in pairs(pass.rejected) do
    if not pass.at[name] then accept(pass, name) end
  end
  if #pass.names == 0 then return end
  for name in pairs(self.store:records()) do
    if not pass.at[name] then
      local removed, err = self.store:remove(name)
      if removed then
        self.reporter:watch(name, nil)
        ngx.log(ngx.NOTICE, 'ebbgate: the set of ', name, ' is gone')
      else
        incomplete(self, pass, 'disk', err)
      end
    end
  end
end

--- `2 sets are kept out: billing (bad_json), shop (too_large)`
local function spell(rejected)
  local names = {}
  for name, why in pairs(rejected) do names[#names + 1] = name .. ' (' .. why.code .. ')' end
  table.sort(names)
  return #names .. (#names == 1 and ' set is kept out: ' or ' sets are kept out: ')
    .. table.concat(names, ', ', 1, math.min(#names, 3))
end

--- Writes down what the pass found. `rejected` first: who reads `applied` before it never sees an ack without its exceptions.
local function conclude(self, pass)
  if pass.rejected_changed and not self.state:safe_set(keys.state.rejected, self.json.encode(pass.rejected)) then
    incomplete(self, pass, 'no_memory', 'ebb_state has no room for the rejected sets')
  end
  if next(pass.rejected) then self.problems:keep('rejected', spell(pass.rejected)) else self.problems:settle('rejected') end
  if not pass.complete or not self.lock:is_owned() then return end
  self.state:safe_set(keys.state.applied, position.pack(pass.epoch, pass.generation))
  if pass.whole and pass.sealed then
    self.state:safe_set(keys.state.sealed_epoch, pass.epoch)
  end
  -- What was written is on disk; that the next set will be is for the disk to say.
  if self.problems:has('disk') and self.store:writable() then self.problems:settle('disk') end
  self.problems:settle('missing_set')
  self.problems:settle('no_memory')
end

local function rejected_before(self)
  local text = self.state:get(keys.state.rejected)
  return text and self.json.decode(text) or {}
end

--- Why the replica is not to be read, after what it has answered; nil if it may.
local function unfit(self, pass)
  if pass == false then return 'the replica has no sets' end
  if went_back(self, pass) then return 'the replica is below what was applied' end
  return nil
end

--- Runs one pass at `server` (worker/follow/redis.lua), all of it at that one; with `whole` it compares everything by hash.
--- True if the server answered, whatever it had; nil and why if it did not, or if it is a replica without what is needed.
function catch_up:run(whole, server)
  local pass, err = ask(self, server, whole)
  if pass == nil then return nil, err end
  if self.source:is_replica(server) then
    self.source:said(server, pass or nil)
    local why = unfit(self, pass)
    if why then return nil, why end
  end
  self.state:safe_set(keys.state.caught_up_at, clock.now())
  if pass == false then
    self.problems:raise('no_meta', 'Redis has no sets')
    return true
  end
  self.problems:settle('no_meta')
  if went_back(self, pass) then
    self.problems:raise('went_back', 'Redis is below what was applied: it is ignored until a new epoch')
    return true
  end
  self.problems:settle('went_back')
  pass.complete, pass.again, pass.rejected, pass.rejected_changed = true, {}, rejected_before(self), false
  pass.turn, pass.server = pace.new(), server
  if read_sets(self, pass, names_to_read(pass)) and #pass.again > 0 then
    -- Moved between the index and the hash: now with the payload. `at` no longer matches, so none of them is light.
    for _, name in ipairs(pass.again) do pass.at[name] = 0 end
    read_sets(self, pass, pass.again)
  end
  if pass.complete and pass.whole and pass.sealed then remove_absent(self, pass) end
  conclude(self, pass)
  if pass.failure then return nil, pass.failure end
  -- Sealed since we last looked: only the whole index shows which sets are no more.
  if pass.complete and pass.sealed and not pass.whole and self.state:get(keys.state.sealed_epoch) ~= pass.epoch then
    return self:run(true, server)
  end
  return true
end

return catch_up
