--- What the worker's modules use of nginx, for specs: clocks that the spec moves, shared dictionaries, timers that run when
--- the spec says so. Call `install` before anything of ebbgate.worker is required.
local nginx = {}

local dictionary = {}
dictionary.__index = dictionary

--- The entry of `key` unless it has expired: by the wall clock, as in nginx.
local function entry_of(self, key)
  local entry = self.entries[key]
  if entry and entry.ends and entry.ends <= self.host.wall() then
    self.entries[key] = nil
    return nil
  end
  return entry
end

function dictionary:get(key)
  local entry = entry_of(self, key)
  if not entry then return nil end
  return entry.value, entry.flags
end

function dictionary:safe_set(key, value, seconds, flags)
  self.entries[key] = {
    value = value, ends = seconds and seconds > 0 and self.host.wall() + seconds or nil,
    flags = flags and flags ~= 0 and flags or nil,
  }
  return true
end

function dictionary:safe_add(key, value, seconds, flags)
  if entry_of(self, key) then return false, 'exists' end
  return self:safe_set(key, value, seconds, flags)
end

function dictionary:incr(key, by)
  local entry = entry_of(self, key)
  if not entry then return nil, 'not found' end
  entry.value = entry.value + by
  return entry.value
end

function dictionary:delete(key) self.entries[key] = nil end
function dictionary.flush_expired() return 0 end

function dictionary:get_keys()
  local keys = {}
  for key in pairs(self.entries) do
    if entry_of(self, key) then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

--- {time, offset, logged, timers, dictionary(), run_timers(), ngx}: `ngx` is the global of that name from now on.
--- `time` is what never goes back, in seconds; `offset` what the wall clock shows above it. Who sleeps lets time pass; what
--- waits for its turn then runs, but no oftener than every `turn` seconds.
function nginx.install()
  local host = { time = 1000, offset = 1.7e9, logged = {}, timers = {}, turn = 0, turned_at = 0 }

  function host.wall() return host.time + host.offset end

  function host.dictionary()
    return setmetatable({ entries = {}, host = host }, dictionary)
  end

  --- Runs what waits for the next turn of the loop; how many that were. What they start waits for the turn after.
  function host.run_timers()
    local timers = host.timers
    host.timers = {}
    for _, run in ipairs(timers) do run(false) end
    return #timers
  end

  host.ngx = {
    ERR = 4, WARN = 5, NOTICE = 6, var = {}, config = { nginx_version = 1022001, ngx_lua_version = 10023 },
    now = host.wall, time = function() return math.floor(host.wall()) end,
    update_time = function() end,
    sleep = function(seconds)
      host.time = host.time + seconds
      if host.time - host.turned_at < host.turn then return end
      host.turned_at = host.time
      host.run_timers()
    end,
    log = function(_, ...)
      local parts = {}
      for i = 1, select('#', ...) do parts[i] = tostring((select(i, ...))) end
      host.logged[#host.logged + 1] = table.concat(parts)
    end,
    req = {
      get_method = function() return host.method or 'GET' end,
      start_time = function() return host.start_time() end,
    },
    timer = {
      at = function(_, run)
        host.timers[#host.timers + 1] = run
        return true
      end,
    },
    worker = { exiting = function() return false end, count = function() return 1 end },
  }
  rawset(_G, 'ngx', host.ngx)
  -- Without nginx the clock is that of the machine.
  local clock = require 'ebbgate.worker.clock'
  clock.now = function() return host.time end
  return host
end

--- The incarnation of a process that lives: this one.
function nginx.living()
  local file = assert(io.open('/proc/self/stat', 'r'))
  local pid = file:read('*n')
  file:close()
  return string.format('%d.0', pid)
end

--- In place of the lock of all workers (worker/limit/memory.lua), where there is one worker.
function nginx.mutex()
  return { lock = function() end, unlock = function() end }
end

return nginx
