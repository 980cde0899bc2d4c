--- Sends requests to several local ports in turn, so that whatever disturbs the machine disturbs all of them alike.
---
---   luajit drive.lua burst  HOST SECONDS CONNECTIONS SLICE_MS PORT…
---     Every connection sends as soon as its answer is there; the ports take turns of SLICE_MS. Prints `port requests`.
---   luajit drive.lua steady HOST SECONDS CONNECTIONS RATE PORT…
---     RATE requests per second and port, each at its own moment whether or not the ones before were answered (an open loop);
---     the ports alternate from request to request. Prints `port due latency` in microseconds: the moment it was due, by the
---     system's monotonic clock, and how long from then on the answer took.
---     It spins: a generator that sleeps wakes up late.
---
--- Any answer but a 200, and any broken connection, is an error: exit code 1.
local ffi = require 'ffi'
local bit = require 'bit'

ffi.cdef [[
  typedef struct { uint16_t family, port; uint32_t address; char zero[8]; } drive_address;
  typedef struct __attribute__((packed)) { uint32_t events; uint64_t data; } drive_event;
  typedef struct { long seconds, nanoseconds; } drive_time;
  int socket(int domain, int type, int protocol);
  int connect(int fd, const drive_address *address, unsigned length);
  int setsockopt(int fd, int level, int name, const void *value, unsigned length);
  long send(int fd, const char *data, size_t length, int flags);
  long recv(int fd, char *data, size_t length, int flags);
  int epoll_create1(int flags);
  int epoll_ctl(int poll, int operation, int fd, drive_event *event);
  int epoll_wait(int poll, drive_event *events, int most, int timeout);
  int clock_gettime(int clock, drive_time *time);
]]

local C = ffi.C
local AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_NODELAY, EPOLL_CTL_ADD, EPOLLIN, CLOCK_MONOTONIC = 2, 1, 6, 1, 1, 1, 1
local MSG_DONTWAIT, MSG_NOSIGNAL = 0x40, 0x4000
local BUFFER, EVENTS = 65536, 256

local mode, host, seconds, connections, pace = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4]), tonumber(arg[5])
local ports = {}
for i = 6, #arg do ports[#ports + 1] = tonumber(arg[i]) end

local time = ffi.new('drive_time')
--- Microseconds.
local function now()
  C.clock_gettime(CLOCK_MONOTONIC, time)
  return tonumber(time.seconds) * 1e6 + tonumber(time.nanoseconds) / 1e3
end

local function fail(...)
  io.stderr:write('drive.lua: ', table.concat({ ... }), '\n')
  os.exit(1)
end

local request = 'GET / HTTP/1.1\r\nHost: ' .. host .. '\r\n\r\n'
local buffer, events = ffi.new('char[?]', BUFFER), ffi.new('drive_event[?]', EVENTS)
--- fd → its connection, over all ports.
local by_fd = {}

local function connect(port)
  local fd = C.socket(AF_INET, SOCK_STREAM, 0)
  local swapped = bit.bor(bit.lshift(bit.band(port, 255), 8), bit.rshift(port, 8))
  local address = ffi.new('drive_address', { family = AF_INET, port = swapped, address = 0x0100007f })
  if C.connect(fd, address, ffi.sizeof(address)) ~= 0 then fail('nobody answers at port ', port) end
  local on = ffi.new('int[1]', 1)
  C.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, on, ffi.sizeof('int'))
  return fd
end

--- One proxy: its connections, and those of them that wait for nothing.
local function open_target(port, poll)
  local target = { port = port, poll = poll, idle = {}, busy = 0, requests = 0 }
  for i = 1, connections do
    local connection = { fd = connect(port), target = target, due = 0, got = '' }
    by_fd[connection.fd] = connection
    local event = ffi.new('drive_event', { events = EPOLLIN, data = connection.fd })
    C.epoll_ctl(poll, EPOLL_CTL_ADD, connection.fd, event)
    target.idle[i] = connection
  end
  return target
end

local function ask(target, due)
  local connection = table.remove(target.idle)
  if not connection then return false end
  connection.due, target.busy = due, target.busy + 1
  if C.send(connection.fd, request, #request, MSG_NOSIGNAL) ~= #request then fail('port ', target.port, ' broke') end
  return true
end

--- True once the whole answer is there.
local function receive(connection)
  local length = tonumber(C.recv(connection.fd, buffer, BUFFER, MSG_DONTWAIT))
  if length <= 0 then fail('port ', connection.target.port, ' closed a connection') end
  local got = connection.got .. ffi.string(buffer, length)
  local _, head = string.find(got, '\r\n\r\n', 1, true)
  local body = head and tonumber(string.match(got, '\r\n[Cc]ontent%-[Ll]ength: (%d+)'))
  if not body or #got < head + body then
    connection.got = got
    return false
  end
  if string.sub(got, 10, 12) ~= '200' then fail('port ', connection.target.port, ' answered ', got) end
  connection.got = ''
  return true
end

--- Takes what came in; `answered(connection)` for every whole answer. `timeout` in milliseconds.
local function take(poll, timeout, answered)
  local count = C.epoll_wait(poll, events, EVENTS, timeout)
  for i = 0, count - 1 do
    local connection = by_fd[tonumber(events[i].data)]
    if receive(connection) then
      local target = connection.target
      target.idle[#target.idle + 1] = connection
      target.busy, target.requests = target.busy - 1, target.requests + 1
      answered(connection)
    end
  end
end

local function burst()
  local targets = {}
  for i, port in ipairs(ports) do targets[i] = open_target(port, C.epoll_create1(0)) end
  local stop, turn = now() + seconds * 1e6, 0
  -- Whole laps only, so that every port had as many turns.
  while now() < stop or turn % #targets ~= 0 do
    local target = targets[turn % #targets + 1]
    turn = turn + 1
    local ends = now() + pace * 1e3
    while #target.idle > 0 do ask(target, 0) end
    local function answered()
      if now() < ends then ask(target, 0) end
    end
    while target.busy > 0 do take(target.poll, 1000, answered) end
  end
  for _, target in ipairs(targets) do print(target.port, target.requests) end
end

local function steady()
  local poll, targets, lines = C.epoll_create1(0), {}, {}
  for i, port in ipairs(ports) do targets[i] = open_target(port, poll) end
  local began, step = now(), 1e6 / (pace * #targets)
  local sent, total = 0, math.floor(seconds * pace * #targets)
  local function answered(connection)
    local due = connection.due
    lines[#lines + 1] = ('%d %.0f %.1f'):format(connection.target.port, due, now() - due)
  end
  while #lines < total do
    local due = began + sent * step
    if sent < total and now() >= due and ask(targets[sent % #targets + 1], due) then sent = sent + 1 end
    take(poll, 0, answered)
    if now() > began + seconds * 1e6 + 10e6 then fail('answers are missing') end
  end
  print(table.concat(lines, '\n'))
end

if mode == 'burst' then burst() elseif mode == 'steady' then steady() else fail('burst or steady?') end
