--- Gateways that share a token bucket, in simulated time: the limiter as it is, the script as Redis would run it, and between
--- them a network that delays, loses and is cut. What worker/limit/exchange.lua does is said again here in a few lines.
local cluster_bucket = require 'ebbgate.core.limit.cluster_bucket'

local gateways = {}

local STEP, LATEST, CLOSEST, AGAIN, BEAT, AWAY = 0.00025, 0.01, 0.002, 0.1, 0.2, 0.3

--- The commands that the script uses, over tables: key → member → score.
local function commands(store, clock)
  local run = {}
  local function set(key)
    store[key] = store[key] or {}
    return store[key]
  end
  --- A border of a range: the number, and whether it is left out.
  local function border(text)
    local open = text:sub(1, 1) == '('
    text = open and text:sub(2) or text
    return text == '+inf' and math.huge or tonumber(text), open
  end
  local function within(score, low, high)
    local least, above = border(low)
    local most, below = border(high)
    return (above and score > least or not above and score >= least) and (below and score < most or not below and score <= most)
  end
  function run.TIME()
    local now = clock()
    return { ('%d'):format(math.floor(now / 1e6)), ('%d'):format(now % 1e6) }
  end
  function run.ZADD(key, ...)
    local given = { ... }
    for i = 1, #given, 2 do set(key)[given[i + 1]] = assert(tonumber(given[i])) end
  end
  function run.ZSCORE(key, member)
    local score = set(key)[member]
    return score and ('%.0f'):format(score) or false
  end
  function run.ZREMRANGEBYSCORE(key, low, high)
    for member, score in pairs(set(key)) do
      if within(score, low, high) then set(key)[member] = nil end
    end
  end
  function run.ZCOUNT(key, low, high)
    local count = 0
    for _, score in pairs(set(key)) do
      if within(score, low, high) then count = count + 1 end
    end
    return count
  end
  function run.ZCARD(key) return run.ZCOUNT(key, '-inf', '+inf') end
  function run.ZRANGE(key)
    local newest, most
    for member, score in pairs(set(key)) do
      if not most or score > most then newest, most = member, score end
    end
    return newest and { newest, ('%.0f'):format(most) } or {}
  end
  function run.PEXPIRE() end
  return run
end

--- The script as a function of keys and arguments, over `store`.
local function script(store, clock)
  local run = commands(store, clock)
  local environment = setmetatable({}, { __index = _G })
  environment.redis = { call = function(name, ...) return run[name](...) end }
  local chunk = setfenv(assert(loadfile('lua/redis/limit.lua')), environment)
  return function(keys, arguments)
    environment.KEYS, environment.ARGV = keys, arguments
    return chunk()
  end
end

function gateways.new_slot()
  return { at = 0, spent = 0, before = 0, idle_at = 0, seen = 0, first = 0, sent = 0, heard = 0, users = 0 }
end

local world = {}
world.__index = world

--- settings {count, burst, gateways, random, delay() seconds of one way}. A gateway is one worker: {slot, admitted}.
function gateways.new(settings)
  local self = setmetatable({
    settings = settings, now = 1000, store = {}, redis_ahead = 1.7e9, is_away = false, loses = 0, admitted = {}, on_way = {},
    limiter = cluster_bucket.new({ count = settings.count, window = 1, burst = settings.burst }), list = {},
  }, world)
  self.script = script(self.store, function() return math.floor((self.now + self.redis_ahead) * 1e6) end)
  for i = 1, settings.gateways do self:join(i) end
  return self
end

--- A gateway more, with a clock of its own.
function world:join(i)
  self.list[i] = {
    id = 'edge-' .. i, ahead = i * 12345.678, sharers = 0, offset = 0, asked_at = 0, heard_at = 0, failed = false, next_at = 0,
    beat_at = 0, admitted = 0, refused = 0,
    slot = gateways.new_slot(),
  }
end

--- The gateway's clock, which moves in milliseconds.
local function clock_of(self, one) return math.floor((self.now + one.ahead) * 1000) / 1000 end

local function is_away(one, now) return one.failed or one.asked_at > one.heard_at and now - one.asked_at > AWAY end

--- A request at gateway `i`. True if it may pass.
function world:ask(i, cost)
  local one = self.list[i]
  local now = clock_of(self, one)
  local wait, _, hurry = self.limiter:take(one.slot, now, cost or 1, math.max(1, one.sharers), is_away(one, now))
  if cluster_bucket.is_owing(one.slot, now) then
    local due = hurry and self.now or self.now + LATEST
    one.due = math.max(one.next_at, math.min(one.due or due, due))
  end
  if wait then
    one.admitted = one.admitted + (cost or 1)
    self.admitted[#self.admitted + 1] = { at = self.now, cost = cost or 1, by = i }
  else
    one.refused = one.refused + 1
  end
  return wait ~= nil
end

local function send(self, one)
  local now = clock_of(self, one)
  local sent = one.offset == 0 and '0' or ('%.0f'):format(now * 1e6 + one.offset)
  local arguments = { one.id, sent, tostring(math.max(1, one.sharers)) }
  local keys, amount, age, seen = { 'gateways' }, nil, nil, nil
  if one.offset ~= 0 then amount, age, seen = self.limiter:send(one.slot, now) end
  if amount then
    keys[2] = 'limit'
    for _, seconds in ipairs { amount * self.limiter.interval, age, 0, self.limiter.burst * self.limiter.interval, seen } do
      arguments[#arguments + 1] = ('%.3f'):format(seconds * 1e6)
    end
  end
  if one.asked_at <= one.heard_at then one.asked_at = now end
  one.due, one.beat_at, one.sent = nil, self.now, { amount = amount, age = age, at = now, keys = keys, arguments = arguments }
  local message = one.sent
  message.arrives = self.now + self.settings.delay()
  self.on_way[#self.on_way + 1] = message
  message.from, message.fails = one, self.now + 1
end

local function finish(self, one, answer)
  local now, sent = clock_of(self, one), one.sent
  local good = answer and #answer > 1
  one.sent, one.next_at = nil, self.now + (good and CLOSEST or AGAIN)
  one.failed = not answer or one.failed and not good
  if answer then one.offset = tonumber(answer[1]) - now * 1e6 end
  if answer and #answer > 1 then one.heard_at, one.sharers = now, tonumber(answer[2]) end
  if sent.amount and answer and #answer > 1 then
    self.limiter:confirm(one.slot, now, sent.amount, answer[3] / 1e6, tonumber(answer[4]))
  elseif sent.amount then
    self.limiter:take_back(one.slot, sent.amount, sent.age, sent.at)
  end
  if cluster_bucket.is_owing(one.slot, now) then one.due = one.next_at end
end

local function deliver(self)
  local later = {}
  for _, message in ipairs(self.on_way) do
    local one = message.from
    if message.answer and message.arrives <= self.now then
      if one.sent == message then finish(self, one, message.answer) end
    elseif not message.answer and message.arrives <= self.now and not self.is_away then
      message.answer = self.script(message.keys, message.arguments)
      message.arrives = self.now + self.settings.delay()
      if self.settings.random(1000) > self.loses then later[#later + 1] = message end
    else
      later[#later + 1] = message
    end
  end
  self.on_way = later
end

--- Lets `seconds` pass; `each(now)` is called at every step.
function world:run(seconds, each)
  local ends = self.now + seconds
  while self.now < ends do
    self.now = self.now + STEP
    deliver(self)
    for _, one in pairs(self.list) do
      if one.sent and self.now >= one.sent.fails then finish(self, one, nil) end
      local is_due = one.due and self.now >= one.due or self.now >= one.beat_at + BEAT
      if not one.gone and not one.sent and self.now >= one.next_at and is_due then send(self, one) end
    end
    if each then each(self.now) end
  end
end

--- What was admitted between two moments; by one gateway, if `by` is given.
function world:count(from, to, by)
  local sum = 0
  for _, one in ipairs(self.admitted) do
    if one.at > from and one.at <= to and (not by or one.by == by) then sum = sum + one.cost end
  end
  return sum
end

--- The most that was admitted in any window above rate × window, of windows that begin and end with a request; {tokens, where}.
function world:excess()
  local rate, worst, where, least = self.settings.count, 0, 0, math.huge
  local sum = 0
  for _, one in ipairs(self.admitted) do
    least = math.min(least, sum - rate * one.at)
    sum = sum + one.cost
    local above = sum - rate * one.at - least
    if above > worst then worst, where = above, one.at end
  end
  return worst, where
end

return gateways
