--- Reports what this worker has let through of limits that gateways share, and learns what the others have; beside requests,
--- never on their path. One for each worker.
---
--- A key that owes something joins the list of what is reported, at most 10 ms later; at once if a request was refused only
--- because Redis has to answer first. What is owed is in shared memory (core/limit/cluster_bucket.lua), so if this worker dies,
--- another one that meets the key reports it.
local key = require 'ebbgate.core.limit.key'
local keys = require 'ebbgate.core.keys'
local clock = require 'ebbgate.worker.clock'
local redis = require 'ebbgate.worker.follow.redis'

local exchange = {}
exchange.__index = exchange

local ngx = ngx
local byte, format, max = string.byte, string.format, math.max

--- Seconds: until what is owed is reported; between two reports in a hurry; between two attempts while Redis is away; between two
--- signs of life of a gateway that has nothing to report.
local LATEST, CLOSEST, AGAIN, BEAT = 0.01, 0.002, 0.1, 0.2
--- Keys in one call, which Redis takes a millisecond for, and keys that may wait. What more there is waits in shared memory until
--- a request meets it again.
local BATCH, MOST = 100, 10000

--- parts {redis (worker/follow/redis.lua), memory, state (ebb_state), script (lua/redis/limit.lua), id (of this gateway)}
function exchange.new(parts)
  parts.list, parts.by_place, parts.running, parts.due_at, parts.next_at, parts.asked_at = {}, {}, false, math.huge, 0, 0
  parts.beat, parts.hurried, parts.complained = false, false, false
  return setmetatable(parts, exchange)
end

local HEX = string.rep('%02x', 20)

local function name_of(one, request)
  return keys.redis.limit(format(HEX, byte(ngx.sha1_bin(key.text(one.parts, request, one.full_name)), 1, 20)))
end

local run

--- Has `run` called after so many seconds, unless it comes earlier anyway.
local function schedule(self, seconds)
  if self.running then return end
  local now = clock.now()
  local at = max(now + seconds, self.next_at)
  if self.due_at <= at and self.due_at > now - 1 then return end
  local made = ngx.timer.at(max(0, at - now), function(premature)
    self.due_at = math.huge
    if not premature then run(self) end
  end)
  if made then self.due_at = at end
end

--- Lists a key that owes something: its slot, hash and limit, and the request that it is of. `hurry`: a request was refused that
--- Redis may allow.
function exchange:note(place, high, low, one, request, hurry)
  local entry, list = self.by_place[place], self.list
  if not entry or entry.high ~= high or entry.low ~= low then
    if #list >= MOST then return end
    entry = { place = place, high = high, low = low, limiter = one.limiter, name = name_of(one, request), amount = 0 }
    self.by_place[place], list[#list + 1] = entry, entry
  end
  if hurry then self.hurried = true end
  schedule(self, hurry and 0 or LATEST)
end

--- From now on this gateway is one of those that share limits.
function exchange:begin()
  if not self.state:get(keys.state.shares_limits) then self.state:safe_set(keys.state.shares_limits, true) end
end

--- Puts into entries what is to be reported, and into `arguments` what the script wants to know.
local function load(self, entries, arguments, now)
  local memory, loaded = self.memory, {}
  local silence = memory:silence(now)
  memory:lock()
  for i = 1, #entries do
    local entry = entries[i]
    local slot = memory.slots:at(entry.place, entry.high, entry.low)
    local amount, age, seen, more
    if slot then amount, age, seen, more = entry.limiter:send(slot, now) end
    if amount then
      entry.amount, entry.age, entry.seen, entry.sent_at, entry.waiting = amount, age, seen, now, more and silence or 0
      loaded[#loaded + 1] = entry
    end
  end
  memory:unlock()
  for i = 1, #loaded do arguments[1 + i] = loaded[i].name end
  local offset = memory.header.offset
  arguments[#arguments + 1] = self.id
  arguments[#arguments + 1] = offset ~= 0 and format('%.0f', now * 1e6 + offset) or '0'
  arguments[#arguments + 1] = format('%d', memory:sharers())
  for i = 1, #loaded do
    local entry, limiter = loaded[i], loaded[i].limiter
    local spent, ahead = entry.amount * limiter.interval, limiter.burst * limiter.interval
    for _, seconds in ipairs { spent, entry.age, entry.waiting, ahead, entry.seen } do
      arguments[#arguments + 1] = format('%.3f', seconds * 1e6)
    end
  end
  return loaded
end

local function call(self, count, arguments)
  local now = clock.fresh()
  self.asked_at = now
  self.memory:ask(now)
  local answer, err = self.redis:run(function(connection)
    return redis.script(connection, self.script, count, arguments)
  end)
  now = clock.fresh()
  if not answer then
    self.memory:hear(now, nil)
    return nil, err
  end
  self.memory:hear(now, tonumber(answer[1]), tonumber(answer[2]))
  return #answer > 1 and answer or nil, 'it came too late'
end

--- What was answered, or that nothing was, into shared memory.
local function unload(self, loaded, answer)
  local memory, now = self.memory, clock.now()
  memory:lock()
  for i = 1, #loaded do
    local entry = loaded[i]
    local slot = memory.slots:at(entry.place, entry.high, entry.low)
    if slot and answer then
      local left, users = answer[2 * i + 1] / 1e6, memory:users(now, tonumber(answer[2 * i + 2]))
      entry.limiter:confirm(slot, now, entry.amount, left, users)
    elseif slot then
      entry.limiter:take_back(slot, entry.amount, entry.age, entry.sent_at)
    end
  end
  memory:unlock()
end

--- Reports these keys. True; or nil and why not.
local function send(self, entries)
  if self.memory.header.offset == 0 then
    -- Redis must know when a report was sent, and so we its clock.
    local known, err = call(self, 1, { keys.redis.limit_gateways, self.id, '0', '1' })
    if not known then return nil, err end
  end
  local arguments = { keys.redis.limit_gateways }
  local loaded = load(self, entries, arguments, clock.fresh())
  if #loaded == 0 and #entries > 0 then return true end
  local called, answer, err = pcall(call, self, 1 + #loaded, arguments)
  if not called then answer, err = nil, answer end
  unload(self, loaded, answer)
  return answer and true, err
end

local function keep(self, entries)
  for i = 1, #entries do
    local entry = entries[i]
    if not self.by_place[entry.place] and #self.list < MOST then
      self.by_place[entry.place], self.list[#self.list + 1] = entry, entry
    end
  end
end

local function report_all(self)
  local list = self.list
  self.list, self.by_place, self.hurried = {}, {}, false
  local sent, err = true, nil
  for first = 1, max(1, #list), BATCH do
    local batch = {}
    for i = first, math.min(#list, first + BATCH - 1) do batch[#batch + 1] = list[i] end
    if sent then sent, err = send(self, batch) end
    if not sent then keep(self, batch) end
  end
  return sent, err
end

local function complain(self, sent, err)
  if sent then
    self.complained = false
  elseif not self.complained then
    self.complained = true
    ngx.log(ngx.WARN, 'ebbgate: limits that gateways share: no answer from Redis (', tostring(err),
      '): this gateway allows its share of them')
  end
end

function run(self)
  if self.running or #self.list == 0 and not self.beat then return end
  self.running, self.beat = true, false
  local ran, sent, err = pcall(report_all, self)
  if not ran then sent, err = nil, sent end
  self.running = false
  complain(self, sent, err)
  local now = clock.fresh()
  self.next_at = now + (sent and CLOSEST or AGAIN)
  if #self.list > 0 then schedule(self, self.hurried and 0 or LATEST) end
end

--- Gives a sign of life if nothing was reported lately. Called ten times a second by the worker that follows Redis.
function exchange:tick(now)
  if not self.state:get(keys.state.shares_limits) or now - self.asked_at < BEAT then return end
  self.beat = true
  schedule(self, 0)
end

return exchange
