--- How many requests of a service may be open: a policy (worker/policies.lua). As many as its bound says, and as all of its
--- instances together may have; what comes beyond waits for a place, if there is a queue, or is refused at once.
---
--- Requests have a priority. A place that becomes free goes to the critical ones that wait before the others; sheddable ones
--- never wait, and get none while somebody does. All of this is counted over all workers. Of those that wait at one worker the
--- first is served first; which worker's is the first to look is left to chance.
local metrics = require 'ebbgate.core.metrics'
local clock = require 'ebbgate.worker.clock'
local open_counts = require 'ebbgate.worker.limit.open_counts'

local concurrency = {}
concurrency.__index = concurrency

local max, min = math.max, math.min

local RANKS = { critical = 1, default = 2, sheddable = 3 }
local NAMES = { 'critical', 'default', 'sheddable' }
--- The least that is important to nobody.
local WAITS = 2

--- Seconds after which the first of a queue looks again, for places that other workers give back; and after which the others look
--- whether their clients are still there.
local FIRST, OTHERS = 0.005, 0.05
--- What the answer of a refusal says.
local ABOUT = { retry = 1 }

--- What outlives the sets: this worker's own numbers, and where all workers count. `waiting[rank]`: {first, last, [n] = a
--- semaphore}.
local function new_state(memory, service)
  local counts = open_counts.new(memory, 'open|' .. service)
  local state = { open = 0, counts = counts, pending = {}, pending_counts = {}, waiting = {} }
  for rank = 1, WAITS do
    state.pending[rank], state.waiting[rank] = 0, { first = 1, last = 0 }
    state.pending_counts[rank] = open_counts.new(memory, 'pending|' .. NAMES[rank] .. '|' .. service)
  end
  return state
end

--- parts {memory (worker/limit/memory.lua), counters}
function concurrency.new(document, entry, parts)
  local given = document.concurrency
  if not given or given.max_per_service == 0 and given.max_per_instance == 0 then return nil end
  entry.concurrency = entry.concurrency or new_state(parts.memory, document.service)
  return setmetatable({
    service = document.service, entry = entry, state = entry.concurrency, memory = parts.memory, counters = parts.counters,
    most = given.max_per_service > 0 and given.max_per_service or math.huge,
    each = given.max_per_instance > 0 and given.max_per_instance or false,
    places = given.max_pending, seconds = given.pending_ms / 1000, rank = RANKS[given.priority],
    header = given.priority_header ~= '' and 'http_' .. string.gsub(string.lower(given.priority_header), '-', '_') or false,
  }, concurrency)
end

--- The priority of a request: what a proxy that is trusted says, else that of the service.
local function rank_of(self, request)
  if not self.header or request.ebb_trusted ~= '1' then return self.rank end
  return RANKS[request[self.header]] or self.rank
end

--- How many may be open now.
local function bound(self)
  if not self.each then return self.most end
  local upstream = self.entry.upstream
  return min(self.most, self.each * max(1, upstream and upstream.picker.size or 0))
end

--- How many wait with that rank. Under the lock.
local function waiting(state, rank)
  return state.pending[rank] + state.pending_counts[rank]:elsewhere()
end

--- Opens a request of that rank if there is a place that nobody waits for who comes before it: whether it did. `is_new`: it has
--- not waited. Under the lock.
local function take(self, rank, is_new)
  local state = self.state
  if self.places > 0 then
    for before = 1, min(is_new and rank or rank - 1, WAITS) do
      if waiting(state, before) > 0 then return false end
    end
  end
  if state.open + state.counts:elsewhere() >= bound(self) then return false end
  state.open = state.open + 1
  state.counts:write(state.open)
  return true
end

--- Enters one into the queue of its rank, or takes it out. Under the lock.
local function add_pending(state, rank, by)
  state.pending[rank] = state.pending[rank] + by
  state.pending_counts[rank]:write(state.pending[rank])
end

local function count(self, rank, result)
  self.counters:add(metrics.concurrency, 1, self.service, NAMES[rank], result)
end

--- As worker/policies.lua says. A request that has to wait is in the queue from now on: `attend` must follow.
function concurrency:admit(request)
  local rank, memory, state = rank_of(self, request), self.memory, self.state
  memory:lock()
  local taken = take(self, rank, true)
  local queued = not taken and rank <= WAITS and self.places > 0 and waiting(state, rank) < self.places
  if queued then add_pending(state, rank, 1) end
  memory:unlock()
  if taken then return nil end
  if queued then return nil, nil, nil, rank end
  count(self, rank, 'refused')
  return 'at_capacity', ABOUT
end

--- Wakes the first that waits at this worker.
local function wake(state)
  for rank = 1, WAITS do
    local queue = state.waiting[rank]
    while queue.first <= queue.last and not queue[queue.first] do queue.first = queue.first + 1 end
    if queue.first <= queue.last then
      queue[queue.first]:post(1)
      return
    end
  end
end

--- One look: whether the request is through.
local function try(self, rank)
  local memory = self.memory
  memory:lock()
  local taken = take(self, rank, false)
  if taken then add_pending(self.state, rank, -1) end
  memory:unlock()
  return taken
end

local function give_up(self, rank, result, code)
  self.memory:lock()
  add_pending(self.state, rank, -1)
  self.memory:unlock()
  count(self, rank, result)
  return code, ABOUT
end

--- Waits for a place: nil, or the code of a refusal and what the answer says of it. `is_gone()`: whether the client has left, who
--- then leaves the queue. Yields.
function concurrency:attend(rank, is_gone)
  -- Not before it is needed: it wants an nginx around it.
  local queue, own = self.state.waiting[rank], require('ngx.semaphore').new(0)
  local number, ends = queue.last + 1, clock.now() + self.seconds
  queue.last, queue[number] = number, own
  local code, about
  while true do
    while queue.first < number and not queue[queue.first] do queue.first = queue.first + 1 end
    local left = ends - clock.now()
    if number == queue.first and try(self, rank) then
      count(self, rank, 'queued')
      break
    end
    if is_gone() then code, about = give_up(self, rank, 'left', 'client_left')
    elseif left <= 0 then code, about = give_up(self, rank, 'expired', 'at_capacity') end
    if code then break end
    own:wait(max(0.001, min(left, number == queue.first and FIRST or OTHERS)))
  end
  queue[number] = nil
  -- There may be room for the next one, too.
  wake(self.state)
  return code, about
end

--- As worker/policies.lua says.
function concurrency:finish()
  local state = self.state
  state.open = max(0, state.open - 1)
  state.counts:note(state.open)
  if state.pending[1] > 0 or state.pending[2] > 0 then wake(state) end
end

return concurrency
