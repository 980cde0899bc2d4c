--- What the master does before it forks, and what a new worker needs: shared memory, the sets on disk, an identity.
local keys = require 'ebbgate.core.keys'
local limit = require 'ebbgate.core.limit.limit'
local position = require 'ebbgate.core.position'
local redis_url = require 'ebbgate.core.redis_url'
local sticky = require 'ebbgate.core.sticky'
local wire = require 'ebbgate.core.wire'
local clock = require 'ebbgate.worker.clock'
local counters = require 'ebbgate.worker.count.counters'
local departure = require 'ebbgate.worker.report.departure'
local disk = require 'ebbgate.worker.follow.disk'
local in_flight = require 'ebbgate.worker.count.in_flight'
local memory = require 'ebbgate.worker.limit.memory'
local process = require 'ebbgate.worker.process'
local store = require 'ebbgate.worker.follow.store'
local certificates = require 'ebbgate.worker.tls.certificates'

local boot = {}

local cjson = require('cjson').new()
cjson.decode_invalid_numbers(false)

boot.json = cjson

local function hex(bytes)
  return (string.gsub(bytes, '.', function(c) return string.format('%02x', string.byte(c)) end))
end

local function sha1(text) return hex(ngx.sha1_bin(text)) end

--- For wire.decode. `names`: the names of the TLS profiles that the conf has, a space between.
function boot.tools(names)
  local profiles = {}
  for name in string.gmatch(names, '%S+') do profiles[name] = true end
  return { json = cjson.decode, sha1 = sha1, profiles = profiles }
end

--- lua/redis/<name>.lua, found beside this code: {text, sha1}.
function boot.script(name)
  local here = assert(package.searchpath('ebbgate.init', package.path))
  local path = string.gsub(here, 'ebbgate/init%.lua$', 'redis/' .. name .. '.lua')
  local file = assert(io.open(path, 'rb'))
  local text = file:read('*a')
  file:close()
  return { text = text, sha1 = sha1(text) }
end

--- Old workers of a reload that changed ebb_inflight's size count in a dictionary that is not read: nothing is proven while
--- they live.
local function note_blind_spot(dicts)
  local list = {}
  for _, key in ipairs(dicts.state:get_keys(0)) do
    local incarnation = keys.state.worker_of(key)
    if incarnation then list[#list + 1] = incarnation end
  end
  if #list > 0 then dicts.state:safe_set(keys.state.blind, table.concat(list, ' ')) end
end

--- True on a reload: the shared memory outlives it, and with it boot id, counts and sets.
local function begin_or_go_on(dicts)
  local state = dicts.state
  if state:get(keys.state.boot) then return true end
  state:safe_set(keys.state.boot, process.random_hex(8))
  state:safe_set(keys.state.started, math.floor(clock.wall()))
  state:safe_set(keys.state.started_at, clock.now())
  state:safe_set(keys.state.seq, 0)
  return false
end

--- Reads the disk into the shared dictionary; files that cannot be trusted are left out, and stay for a person to look at.
local function load(dicts, state_dir, tools)
  local loading = store.new(dicts.sets)
  local epoch, generation, loaded = 0, 0, 0
  disk.new(state_dir):load(tools, function(name, publication, document)
    publication.restless, publication.removed = document.restless, document.kind == 'tombstone'
    local shared, err = loading:share(name, publication, true)
    if not shared then
      ngx.log(ngx.ERR, 'ebbgate: the set of ', name, ' on disk finds no room: ', err)
      return
    end
    loaded = loaded + 1
    if limit.is_shared(document) then dicts.state:safe_set(keys.state.shares_limits, true) end
    if position.newer(publication.epoch, publication.generation, epoch, generation) then
      epoch, generation = publication.epoch, publication.generation
    end
  end, function(name, why)
    ngx.log(ngx.ERR, 'ebbgate: the file of ', name, ' in ', state_dir, ' is left out: ', why)
  end)
  if loaded > 0 then dicts.state:safe_set(keys.state.floor, position.pack(epoch, generation)) end
  ngx.log(ngx.NOTICE, 'ebbgate: ', loaded, ' sets loaded from ', state_dir)
end

--- If a reload changed which TLS profiles the conf has (`names`), sets that are in force may name one that is gone: they are
--- rejected from now on, so that they count as not applied.
local function reject_unknown_profiles(dicts, names, tools)
  local state = dicts.state
  if state:get(keys.state.profiles) == names then return end
  state:safe_set(keys.state.profiles, names)
  local sets, rejected, changed = store.new(dicts.sets), cjson.decode(state:get(keys.state.rejected) or '{}'), false
  for name, record in pairs(sets:records()) do
    local document, code, detail = wire.decode(name, sets:payload(name), tools)
    if not document then
      rejected[name], changed = { generation = position.text(record.generation), code = code }, true
      ngx.log(ngx.ERR, 'ebbgate: the set of ', name, ' cannot be served any more: ', code, ' (', detail, ')')
    end
  end
  if changed then state:safe_set(keys.state.rejected, cjson.encode(rejected)) end
end

local function read_file(path)
  local file, err = io.open(path, 'rb')
  local text = file and file:read('*a')
  if file then file:close() end
  return assert(text, err)
end

--- The address of Redis in the option `name`, or nil if that is empty, with its passwords from the environment and the client's
--- certificate from its files, which workers may not be allowed to read. Throws if it cannot be had, so that nginx does not
--- start, or goes on with the conf before.
function boot.redis(settings, name)
  if settings[name] == '' then return nil end
  local found, why = redis_url.parse(settings[name])
  if not found then error('ebbgate: the option ' .. name .. ': ' .. why, 0) end
  local password, sentinel_password = os.getenv(settings.redis_password_env), os.getenv(settings.redis_sentinel_password_env)
  local complete, lacks = redis_url.with_passwords(found, password, sentinel_password)
  -- Not an end: whoever tries the conf has not the environment of the gateway, and this is said at every connection too.
  if not complete then ngx.log(ngx.ERR, 'ebbgate: the option ', name, ': ', lacks, ' in the environment') end
  local client = found.tls and found.tls.client
  if client then
    local ssl = require 'ngx.ssl'
    found.tls.chain = assert(ssl.parse_pem_cert(read_file(client.cert)))
    found.tls.private = assert(ssl.parse_pem_priv_key(read_file(client.key)))
  end
  return found
end

--- How sticky cookies name instances, by the keys in `file` ('' = without keys). Throws if they cannot be read, so that nginx
--- does not start, or goes on with the conf before.
function boot.names(file)
  if file == '' then return sticky.namer(nil, nil) end
  local opened, err = io.open(file, 'rb')
  local text = opened and opened:read('*a')
  if opened then opened:close() end
  local list, why = nil, err
  if text then list, why = sticky.read_keys(text) end
  if not list then error('ebbgate: sticky_key_file ' .. file .. ': ' .. tostring(why), 0) end
  return sticky.namer(list, ngx.hmac_sha1)
end

--- In the master: the certificates in the folder `path`, read; nil if that is ''. One that cannot be used is logged, and keeps
--- nothing from starting: workers look again.
function boot.certificates(path)
  if path == '' then return nil end
  local found = certificates.new(path, require('ebbgate.worker.tls.certificate').read)
  found:look(clock.wall(), true)
  local fault = found:fault(clock.wall())
  if fault then ngx.log(ngx.ERR, 'ebbgate: ', fault) end
  return found
end

--- A gateway that was stopped for good has a mark beside its sets (nginx/leave.sh): drains are proven without it.
local function note_departure(state, state_dir, start_from_disk)
  local file = start_from_disk == 'unless-left' and io.open(departure.file(state_dir), 'rb')
  if not file then return end
  file:close()
  state:safe_set(keys.state.left, true)
  ngx.log(ngx.WARN, 'ebbgate: this gateway has left the roster (', departure.file(state_dir), '): it serves nothing until ',
    'Redis or the control API knows of it again; --start-from-disk always serves all the same')
end

--- In the master, at every start and reload. `profiles`: the names of the TLS profiles, a space between.
function boot.prepare(dicts, state_dir, profiles, start_from_disk)
  local tools = boot.tools(profiles)
  reject_unknown_profiles(dicts, profiles, tools)
  local reload = begin_or_go_on(dicts)
  if not reload then note_departure(dicts.state, state_dir, start_from_disk) end
  if reload and not dicts.inflight:get(keys.inflight.made) then note_blind_spot(dicts) end
  in_flight.prepare(dicts.inflight)
  counters.prepare(dicts.metrics)
  if dicts.sets:get(keys.sets.last_stamp) then return end
  -- A new dictionary of sets, perhaps in a reload that changed its size: the sets must be read again before anything is acked.
  dicts.sets:safe_set(keys.sets.last_stamp, 0)
  dicts.state:delete(keys.state.applied)
  dicts.state:delete(keys.state.sealed_epoch)
  load(dicts, state_dir, tools)
end

--- In the master: maps the memory for limits, unless a reload finds it.
function boot.map_limits(state, bytes)
  if not state:get(keys.state.limits) then state:safe_set(keys.state.limits, memory.map(bytes)) end
end

--- The memory for limits, with this worker entered in it.
function boot.limits(state, incarnation)
  local shared = memory.at(state:get(keys.state.limits))
  shared:enlist(incarnation)
  return shared
end

--- Enters this worker in the list that in_flight_counts.lua reads, with the newest contract that it understands: after a reload
--- workers of two releases may read one dictionary. Returns its incarnation.
function boot.enlist(state)
  local incarnation = process.incarnation()
  local listed, err = state:safe_add(keys.state.worker(incarnation), wire.CONTRACTS[#wire.CONTRACTS])
  if not listed and err ~= 'exists' then
    ngx.log(ngx.ERR, 'ebbgate: ebb_state is full: this worker cannot be listed')
  end
  return incarnation
end

--- Gives each worker its own random numbers.
function boot.seed()
  math.randomseed(tonumber(process.random_hex(4), 16) + ngx.worker.pid())
end

--- Lets the heap grow to three times of what lives, not twice, before it is collected: every phase of a request leaves a
--- little garbage, and collecting it costs by what it passes. At four times a tenth of all Lua's instructions per request
--- were saved (callgrind), at a third more memory than here.
function boot.relax_collector()
  collectgarbage('setpause', 300)
end

return boot
