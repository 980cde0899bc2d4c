--- Processes: who this worker is, and whether another one still lives. Linux with 64 bits.
local ffi = require 'ffi'

local process = {}

pcall(ffi.cdef, 'int kill(int pid, int sig);')
pcall(ffi.cdef, 'int gethostname(char *name, size_t len);')

local EPERM = 1

--- The clock tick at which a process started: with the pid it names one incarnation, because pids come back. Nil if it
--- cannot be read.
local function start_tick(pid)
  local file = io.open('/proc/' .. pid .. '/stat', 'r')
  if not file then return nil end
  local line = file:read('*l')
  file:close()
  -- The name is in brackets and may be anything; the 20th word after it is the start.
  local rest = line and string.match(line, '^.*%) (.*)$')
  if not rest then return nil end
  local state, index = string.match(rest, '^(%S)'), 0
  if state == 'Z' then return nil end
  for word in string.gmatch(rest, '%S+') do
    index = index + 1
    if index == 20 then return word end
  end
  return nil
end

--- `<pid>.<start tick>` of this process.
function process.incarnation()
  local pid = ngx.worker.pid()
  return pid .. '.' .. (start_tick(pid) or '0')
end

--- True if that incarnation lives. In doubt it does: its requests must not be forgotten.
function process.alive(incarnation)
  local pid, tick = string.match(incarnation, '^(%d+)%.(%d+)$')
  if not pid then return false end
  if ffi.C.kill(tonumber(pid), 0) ~= 0 and ffi.errno() ~= EPERM then return false end
  if tick == '0' then return true end
  local now = start_tick(pid)
  if now then return now == tick end
  -- Unreadable: gone since the signal, a zombie, or a /proc that hides others.
  return start_tick('self') == nil or ffi.C.kill(tonumber(pid), 0) ~= 0 and ffi.errno() == EPERM
end

function process.hostname()
  local buffer = ffi.new('char[256]')
  if ffi.C.gethostname(buffer, 255) ~= 0 then return 'unknown' end
  return ffi.string(buffer)
end

--- `bytes` random bytes of the system's generator, as hex.
function process.random_hex(bytes)
  local file = assert(io.open('/dev/urandom', 'rb'))
  local raw = file:read(bytes)
  file:close()
  return (raw:gsub('.', function(c) return string.format('%02x', c:byte()) end))
end

return process
