--- Reports this gateway to Redis: that it lives, what it has applied, how many requests are open on each instance.
local heartbeat = require 'ebbgate.core.heartbeat'
local keys = require 'ebbgate.core.keys'
local position = require 'ebbgate.core.position'
local recent = require 'ebbgate.core.recent'
local wire = require 'ebbgate.core.wire'
local clock = require 'ebbgate.worker.clock'
local redis = require 'ebbgate.worker.follow.redis'
local link_state = require 'ebbgate.worker.report.link_state'
local timer = require 'ebbgate.worker.timer'

local reporter = {}
reporter.__index = reporter

--- A heartbeat outlives its gateway by a day, so that a controller that starts later knows of a gateway that was never heard.
--- Only `seq` shows whether the gateway lives.
local HEARTBEAT_TTL_MS, STATS_TTL_MS = 86400000, 120000

--- parts {redis, source, state, in_flight_counts, request_counts, json, tools, problems, health, identity {id, host}, every
--- (seconds)}
function reporter.new(parts)
  parts.running, parts.again, parts.beat_at, parts.watched, parts.reported = false, false, 0, {}, nil
  parts.recent = recent.new()
  return setmetatable(parts, reporter)
end

--- Follows the requests of those peers of a set that are neither `up` nor `suspect`: somebody waits for their end.
--- `document` nil: there is no such set any more.
function reporter:watch(name, document)
  local list
  for _, peer in ipairs(document and document.peers or {}) do
    if peer.state ~= 'up' and peer.state ~= 'suspect' then
      list = list or {}
      list[#list + 1] = name .. '|' .. peer.id
    end
  end
  self.watched[name] = list
end

--- Watches all sets again, for a worker that has just taken over.
function reporter:watch_all(store)
  self.watched = {}
  for name, record in pairs(store:records()) do
    if record.restless then
      local payload = store:payload(name)
      self:watch(name, payload and wire.decode(name, payload, self.tools))
    end
  end
end

--- The open requests of the watched peers as one text, to see whether they changed; '' if there is none.
local function watched_text(self, in_flight)
  local parts = {}
  for _, list in pairs(self.watched) do
    for i = 1, #list do
      local count = in_flight[list[i]]
      if count then parts[#parts + 1] = list[i] .. '=' .. count end
    end
  end
  table.sort(parts)
  return table.concat(parts, ' ')
end

--- Those of now as one text, to see whether there are others.
local function kinds_text(problems)
  local kinds = {}
  for i = 1, #problems do kinds[i] = problems[i].kind end
  return table.concat(kinds, ' ')
end

--- What the heartbeat says. The order of the reads is the promise: applied, rejected, then the counters
--- (count/in_flight_counts.lua).
local function gather(self)
  local applied_text = self.state:get(keys.state.applied)
  local rejected_text = self.state:get(keys.state.rejected) or '{}'
  local counted = self.in_flight_counts:take()
  local health, problems = self.health:summary(), self.problems:list()
  local epoch, generation = position.unpack(applied_text)
  return {
    id = self.identity.id, host = self.identity.host, boot = self.state:get(keys.state.boot),
    started = self.state:get(keys.state.started), seq = self.state:incr(keys.state.seq, 1), workers = counted.workers,
    contracts = counted.contracts,
    applied = epoch and { epoch = epoch, generation = generation } or nil, rejected = self.json.decode(rejected_text),
    in_flight = counted.in_flight, uncounted = counted.uncounted,
    health = health.health, unlisted = health.unlisted, panic = health.panic, breakers = health.breakers, problems = problems,
  }, table.concat({ applied_text or '', rejected_text, kinds_text(problems), watched_text(self, counted.in_flight) }, '\n')
end

local function stats_text(self, beat)
  local services, limits = self.request_counts:versions()
  return heartbeat.encode_stats(beat, services, self.json.encode, self.recent:gained(clock.now(), limits))
end

local function send(self, beat, changed, with_stats)
  local id, quote = self.identity.id, self.json.encode
  local stats = with_stats and stats_text(self, beat)
  return self.redis:run(function(connection)
    local commands = {
      { 'set', keys.redis.heartbeat(id), heartbeat.encode(beat, quote), 'PX', HEARTBEAT_TTL_MS },
      { 'zadd', keys.redis.gateways, math.floor(clock.wall()), id },
    }
    if stats then commands[#commands + 1] = { 'set', keys.redis.stats(id), stats, 'PX', STATS_TTL_MS } end
    if changed then commands[#commands + 1] = { 'publish', keys.redis.report, id } end
    local asked = #commands + 1
    commands[asked] = self.source:question()
    local replies, err = redis.pipeline(connection, commands)
    if replies and commands[asked] then
      self.source:primary_said(replies[asked])
      replies[asked] = nil
    end
    for _, reply in ipairs(replies or {}) do
      if type(reply) == 'table' and reply[1] == false then return nil, reply[2] end
    end
    return replies, err
  end)
end

local function beat_once(self)
  local now = clock.now()
  local beat, summary = gather(self)
  local with_stats = now - (self.stats_at or 0) >= self.every
  self.beat_at = now
  local sent, err = send(self, beat, summary ~= self.reported, with_stats)
  if not sent then
    self.problems:raise('heartbeat', tostring(err))
    -- The first to notice a half-open connection: the next poll may be seconds away. That one says when it is mended.
    link_state.note(self.state, false)
    return
  end
  self.problems:settle('heartbeat')
  -- While sets are read from the replica nobody else speaks to the primary.
  if self.source:is_replica(self.source:server()) then link_state.note(self.state, true) end
  self.reported = summary
  if with_stats then self.stats_at = now end
end

--- Sends a heartbeat now; one that is being sent is followed by another, which has the newest state.
function reporter:beat()
  if self.running then
    self.again = true
    return
  end
  self.running = true
  repeat
    self.again = false
    local ok, err = pcall(beat_once, self)
    if not ok then ngx.log(ngx.ERR, 'ebbgate: heartbeat: ', err) end
  until not self.again or ngx.worker.exiting()
  self.running = false
end

--- True if requests are open on the watched peers, or were at the last report.
local function is_restless(self)
  if next(self.watched) == nil then return false end
  local text = watched_text(self, self.in_flight_counts:take().in_flight)
  local reported = self.reported and string.match(self.reported, '[^\n]*$')
  return text ~= '' or text ~= reported
end

--- Sends a heartbeat if one is due. Called ten times a second by the worker that owns the lock.
function reporter:tick(now)
  if self.running or now - self.beat_at < self.every and not is_restless(self) then return end
  timer.soon('heartbeat', function() self:beat() end)
end

return reporter
