--- The limits of a service: a policy (worker/policies.lua). All of them are asked for a request under one lock, so that what one
--- of them refuses has taken nothing from the others.
local key = require 'ebbgate.core.limit.key'
local limit = require 'ebbgate.core.limit.limit'
local network = require 'ebbgate.core.network'
local siphash = require 'ebbgate.core.limit.siphash'
local clock = require 'ebbgate.worker.clock'

local limits = {}
limits.__index = limits

local ceil, max = math.ceil, math.max

--- parts {memory (worker/limit/memory.lua), counters, exchange (worker/limit/exchange.lua)}
function limits.new(document, _, parts)
  local given = document.limits
  if not given or #given == 0 then return nil end
  local secret, list = parts.memory.header.secret, {}
  for i = 1, #given do list[i] = limit.new(document.service, given[i], secret[0], secret[1]) end
  local exchange = limit.is_shared(document) and parts.exchange
  if exchange then exchange:begin() end
  return setmetatable({
    list = list, memory = parts.memory, counters = parts.counters, exchange = exchange, gateways = 1, away = false,
    -- Of the request that is asked for now; nothing yields while they are in use.
    high = {}, low = {}, retry = {}, rest = {}, reset = {}, place = {}, hurry = {},
  }, limits)
end

--- Whether a limit is of the request's route, and its client none of those that it leaves out.
local function concerns(one, request)
  local consumers = one.exempt_consumers
  if consumers and consumers[request.ebb_consumer] then return false end
  if one.routes and not one.routes[request.ebb_route] then return false end
  return not (one.exempt and network.contains(one.exempt, network.plain(request.binary_remote_addr)))
end

--- Where a worker counts its own open requests of a key.
local function own_place(high, low, number)
  return siphash('', high + number, low)
end

--- What the other living workers have open of a key. Under the lock.
local function open_elsewhere(memory, high, low, now)
  local header, open = memory.header, 0
  for i = 0, header.named - 1 do
    local worker = header.workers[i]
    if worker.pid ~= 0 and worker.number ~= memory.number then
      local slot = memory.slots:seek(own_place(high, low, worker.number))
      if slot and slot.idle_at > now then open = open + slot.spent end
    end
  end
  return open
end

--- The slot of limit `i` for this request; what other workers have open, or how many gateways share the limit; and its place.
--- Under the lock.
local function slot_of(self, i, one, now)
  local high, low = self.high[i], self.low[i]
  if not one.limiter.counts_open then
    local slot, place = self.memory.slots:find(high, low, now)
    return slot, self.gateways, place
  end
  local others = open_elsewhere(self.memory, high, low, now)
  high, low = own_place(high, low, self.memory.number)
  return self.memory.slots:find(high, low, now), others
end

--- Takes from limit `i`: the wait; or nil, which leaves in `retry` when it may be tried again.
local function take(self, i, one, now)
  local limiter = one.limiter
  local slot, others, place = slot_of(self, i, one, now)
  local wait, retry, hurry = limiter:take(slot, now, one.cost, others, self.away)
  self.retry[i] = not wait and retry or false
  if limiter.is_shared then self.place[i], self.hurry[i] = limiter.is_owing(slot, now) and place, hurry end
  -- What is only watched is counted as open all the same: it ends like any other.
  if not wait and limiter.counts_open and not one.enforced then limiter:count(slot, now, one.cost) end
  return wait
end

--- Gives back what was taken, and notes what is left, for the answer.
local function give_all(self, now)
  for i = 1, #self.list do
    local one = self.list[i]
    if self.high[i] then
      local slot, others = slot_of(self, i, one, now)
      if not self.retry[i] or one.limiter.counts_open and not one.enforced then
        one.limiter:give(slot, one.cost, others, self.away)
      end
      self.rest[i], self.reset[i] = one.limiter:left(slot, now, others)
    end
  end
end

--- Takes from all limits, or from none. Under the lock: nothing here may yield or throw. The wait; or nil if one refuses.
local function take_all(self, now)
  local list, longest, refused = self.list, 0, false
  for i = 1, #list do
    if self.high[i] then
      local one = list[i]
      local wait = take(self, i, one, now)
      if one.enforced then
        if wait then longest = max(longest, wait) else refused = true end
      end
    end
  end
  if not refused then return longest end
  give_all(self, now)
  return nil
end

--- Counts what each limit said of a request. What is only watched counts as refused if it would have been.
local function note(self, admitted, wait)
  for i = 1, #self.list do
    local one = self.list[i]
    if self.high[i] then
      local counted = one.counted
      if self.retry[i] then
        counted.refused = counted.refused + 1
      elseif admitted then
        counted.admitted = counted.admitted + 1
        if wait > 0 and one.limiter.longest then counted.delayed = counted.delayed + 1 end
      end
      if not counted.dirty then self.counters:limited(counted) end
    end
  end
end

--- What a refusal says: {status, names of those that refused, retry (seconds), policy and left (values of header fields)}.
local function describe(self)
  local status, names, retry, policy, left = nil, {}, 0, {}, {}
  for i = 1, #self.list do
    local one = self.list[i]
    if self.high[i] and one.enforced then
      local rest, reset = self.rest[i], self.reset[i]
      if self.retry[i] then
        status = status or one.status
        names[#names + 1] = one.name
        rest, reset = 0, max(1, ceil(self.retry[i]))
        retry = max(retry, reset)
      end
      policy[#policy + 1] = one.policy
      left[#left + 1] = '"' .. one.name .. '";r=' .. rest .. ';t=' .. reset
    end
  end
  return {
    status = status, names = names, retry = retry, policy = table.concat(policy, ', '), left = table.concat(left, ', '),
  }
end

--- Has reported what gateways share.
local function report(self, request)
  for i = 1, #self.list do
    local one = self.list[i]
    if self.high[i] and one.limiter.is_shared and self.place[i] then
      self.exchange:note(self.place[i], self.high[i], self.low[i], one, request, self.hurry[i])
    end
  end
end

--- As worker/policies.lua says.
function limits:admit(request)
  local list, memory, now = self.list, self.memory, clock.now()
  for i = 1, #list do
    local one = list[i]
    if concerns(one, request) then
      self.high[i], self.low[i] = key.hash(one.parts, request, one.high, one.low)
    else
      self.high[i] = false
    end
  end
  local exchange = self.exchange
  if exchange then self.gateways, self.away = memory:sharers(), memory:is_away(now) end
  memory:lock()
  local wait = take_all(self, now)
  memory:unlock()
  if exchange then report(self, request) end
  note(self, wait ~= nil, wait)
  if not wait then return 'quota_exceeded', describe(self) end
  if wait > 0 then return nil, nil, wait end
  return nil
end

--- Ends what was opened.
function limits:finish(_, request)
  local list, memory = self.list, self.memory
  for i = 1, #list do
    local one = list[i]
    if one.limiter.counts_open and concerns(one, request) then
      local high, low = key.hash(one.parts, request, one.high, one.low)
      high, low = own_place(high, low, memory.number)
      memory:lock()
      local slot = memory.slots:seek(high, low)
      if slot then one.limiter:give(slot, one.cost) end
      memory:unlock()
    end
  end
end

return limits
