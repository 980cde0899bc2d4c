--- The memory that all workers of this nginx share for limits, and the lock before it.
---
--- Not a shared dictionary: a limit reads and writes several numbers at once, which no operation of a dictionary does, so two
--- workers would both take the last request. And a key that nobody knows yet takes the place of one that is idle, where a full
--- dictionary forgets the key that was longest unused.
---
--- The master maps the memory once, before it forks; workers inherit it, also those of a reload, which finds the address in
--- ebb_state. The lock is a robust one (POSIX.1-2008): if its owner dies, the next one gets it.
local ffi = require 'ffi'
local slots = require 'ebbgate.core.limit.slots'
local process = require 'ebbgate.worker.process'

local memory = {}
memory.__index = memory

pcall(ffi.cdef, 'void *mmap(void *address, size_t length, int protection, int flags, int file, long offset);')
pcall(ffi.cdef, 'int pthread_mutex_init(void *mutex, const void *attributes);')
pcall(ffi.cdef, 'int pthread_mutex_lock(void *mutex);')
pcall(ffi.cdef, 'int pthread_mutex_unlock(void *mutex);')
pcall(ffi.cdef, 'int pthread_mutex_consistent(void *mutex);')
pcall(ffi.cdef, 'int pthread_mutexattr_init(void *attributes);')
pcall(ffi.cdef, 'int pthread_mutexattr_setpshared(void *attributes, int shared);')
pcall(ffi.cdef, 'int pthread_mutexattr_setrobust(void *attributes, int robust);')

local READ_WRITE, SHARED_ANONYMOUS = 3, 0x21
local PROCESS_SHARED, ROBUST, EOWNERDEAD = 1, 1, 130
--- Of workers at once, old ones of reloads included.
local MOST_WORKERS = 1024

--- Seconds without an answer after which Redis is away, and for which it may not know of all gateways when it is back.
local AWAY, RETURNING = 0.3, 1

--- A mutex has 40 or 48 bytes, by machine. `workers`: the living ones; `named` how many places of it are used, `made` the last
--- number. Of limits that gateways share: `gateways` that Redis knew of last, `offset` of its clock from ours, in microseconds
--- (0 = unknown); `asked_at`, when a worker asked for the first time since an answer came, and `heard_at`, when that was
--- (clock.now); `failed` after an error; `back_at`, when Redis came back.
pcall(ffi.cdef, [[typedef struct {
  uint64_t mutex[16];
  int32_t secret[2];
  int32_t count, named, made, gateways, failed;
  double offset, asked_at, heard_at, back_at;
  struct { int32_t pid, number; double tick; } workers[]] .. MOST_WORKERS .. [[];
} ebb_limits_t;]])
pcall(ffi.cdef, 'typedef ' .. slots.DECLARATION .. ' ebb_limit_slot_t;')

local HEADER, SLOTS = ffi.typeof('ebb_limits_t *'), ffi.typeof('ebb_limit_slot_t *')

local C = ffi.C

--- Offset of the first slot.
local BEGIN = math.ceil(ffi.sizeof('ebb_limits_t') / 64) * 64

--- The greatest power of two of slots that `bytes` have room for; 8 at least.
local function count_of(bytes)
  local count = 8
  while count * 2 * slots.BYTES <= bytes do count = count * 2 end
  return count
end

--- In the master, at a start: maps memory for about `bytes`. Returns its address as a number. Throws if there is none.
function memory.map(bytes)
  local count = count_of(bytes)
  local address = C.mmap(nil, BEGIN + count * slots.BYTES, READ_WRITE, SHARED_ANONYMOUS, -1, 0)
  if ffi.cast('intptr_t', address) == -1 then error('ebbgate: no shared memory for limits', 0) end
  local header = ffi.cast(HEADER, address)
  local attributes = ffi.new('uint64_t[8]')
  C.pthread_mutexattr_init(attributes)
  C.pthread_mutexattr_setpshared(attributes, PROCESS_SHARED)
  C.pthread_mutexattr_setrobust(attributes, ROBUST)
  if C.pthread_mutex_init(header.mutex, attributes) ~= 0 then error('ebbgate: no lock for limits', 0) end
  for i = 0, 1 do header.secret[i] = tonumber(process.random_hex(4), 16) - 2 ^ 31 end
  header.count = count
  return tonumber(ffi.cast('intptr_t', address))
end

--- The memory at an address that `map` gave.
function memory.at(address)
  local base = ffi.cast('char *', address)
  local header = ffi.cast(HEADER, base)
  return setmetatable({
    header = header, mutex = ffi.cast('void *', header.mutex), number = 0,
    slots = slots.new(ffi.cast(SLOTS, base + BEGIN), header.count),
  }, memory)
end

--- Waits until no other worker is between `lock` and `unlock`. What is done there must not yield nor throw.
function memory:lock()
  if C.pthread_mutex_lock(self.mutex) == EOWNERDEAD then C.pthread_mutex_consistent(self.mutex) end
end

function memory:unlock() C.pthread_mutex_unlock(self.mutex) end

--- Enters this worker among those that count open requests: from now on the others count what it opens.
function memory:enlist(incarnation)
  local header, pid, tick = self.header, string.match(incarnation, '^(%d+)%.(%d+)$')
  self:lock()
  local place = header.named
  for i = 0, header.named - 1 do
    if header.workers[i].pid == 0 then place = i end
  end
  if place < MOST_WORKERS then
    local worker = header.workers[place]
    header.made = header.made + 1
    worker.pid, worker.tick, worker.number = tonumber(pid), tonumber(tick), header.made
    if place == header.named then header.named = place + 1 end
    self.number = header.made
  end
  self:unlock()
end

--- Forgets workers that are dead: what they had open went with them.
function memory:bury()
  local header = self.header
  for i = 0, header.named - 1 do
    local worker = header.workers[i]
    local number = worker.number
    if worker.pid ~= 0 and not process.alive(string.format('%d.%.0f', worker.pid, worker.tick)) then
      self:lock()
      if worker.number == number then worker.pid = 0 end
      self:unlock()
    end
  end
end

--- Notes that a worker asks Redis.
function memory:ask(now)
  local header = self.header
  if header.asked_at <= header.heard_at then header.asked_at = now end
end

--- Seconds for which no answer has come.
function memory:silence(now)
  local header = self.header
  return header.asked_at > header.heard_at and now - header.asked_at or 0
end

--- Notes what came of it: Redis' time in microseconds and how many gateways share limits; that alone if it came too late; or nil
--- if nothing came.
function memory:hear(now, redis_time, gateways)
  local header = self.header
  if not redis_time then
    header.failed = 1
    return
  end
  header.offset = redis_time - now * 1e6
  if not gateways then return end
  if self:is_away(now) then header.back_at = now end
  header.heard_at, header.failed = now, 0
  if gateways < header.gateways and now - header.back_at < RETURNING then return end
  header.gateways = gateways
end

--- True if Redis does not answer.
function memory:is_away(now)
  local header = self.header
  return header.failed == 1 or self:silence(now) > AWAY
end

--- How many gateways share limits, as far as is known; 1 at least.
function memory:sharers() return math.max(1, self.header.gateways) end

--- How many of them use a key of which Redis knows so many.
function memory:users(now, users)
  return now - self.header.back_at < RETURNING and math.max(users, self:sharers()) or users
end

--- How many keys this worker has forgotten while they said something, since the last call.
function memory:take_evicted()
  local count = self.slots.evicted
  self.slots.evicted = 0
  return count
end

return memory
