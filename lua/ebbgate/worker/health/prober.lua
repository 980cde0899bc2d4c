--- Checks every instance of the sets that ask for it, in the one worker of this gateway that owns the lock. ebb_health has
--- when a check is due, which is moved on before the check begins: the next owner goes on from there, and
--- asks no instance twice.
---
--- Ten times a second a queue is made of who is due, and fed to nginx little by little: begun all at once, 2,000
--- checks per second took the p99 of requests from 1.4 to 8 ms; fed, from 3.4 to 3.9 (bench/checks.bench.ts, a run each).
local keys = require 'ebbgate.core.keys'
local metrics = require 'ebbgate.core.metrics'
local clock = require 'ebbgate.worker.clock'
local pace = require 'ebbgate.worker.pace'
local probe = require 'ebbgate.worker.health.probe'
local timer = require 'ebbgate.worker.timer'

local prober = {}
prober.__index = prober

--- Checks at a time, and how many of them may be of instances that last let theirs time out: those delay no others.
local PARALLEL, SLOW = 32, 16
--- An interval is longer or shorter by up to this part of it, so that gateways do not check in step.
local JITTER = 0.1
--- Sets may change many times a second; who is checked, once.
local LISTED = 1
--- Checks that begin within one millisecond, at most; for how many seconds a queue is fed, a little less than until the next one.
local TOGETHER, FEED = 8, 0.09
--- In any other state it gets no new requests soon.
local WANTED = { up = true, suspect = true, draining = true, unready = true }

--- parts {dict, sets, store, health, counters, upstream(service), is_owner() (whether this worker has the lock)}
function prober.new(parts)
  parts.targets, parts.turns, parts.stamp, parts.listed_at, parts.running, parts.slow = {}, {}, nil, 0, 0, 0
  parts.services = nil
  return setmetatable(parts, prober)
end

--- `turn` {due (nil = not known), running, slow} outlives the sets.
local function new_target(service, member, upstream, name, turn)
  local rules, scheme = upstream.health.check, upstream.scheme
  local port = rules.port > 0 and rules.port or member.port
  return {
    service = service, id = member.id, name = name, address = member.address, port = port,
    authority = member.address .. ':' .. port, tls = rules.type == 'http' and (scheme == 'https' or scheme == 'grpcs'),
    check = rules, health = upstream.health, interval = rules.interval_ms / 1000, turn = turn,
  }
end

--- Appends the targets of one service, each with its turn.
local function add_targets(self, service, upstream, targets, turns)
  for _, member in ipairs(upstream.members) do
    if WANTED[member.state_name] and not member.down then
      local name = keys.health.name(service, member)
      turns[name] = self.turns[name] or { due = nil, running = false, slow = false }
      targets[#targets + 1] = new_target(service, member, upstream, name, turns[name])
    end
  end
end

--- Forgets what checks showed of `members`, whose set has none any more: should it have some again, they begin again. No other
--- worker writes this.
local function forget(self, service, members)
  for _, member in ipairs(members) do
    local name = keys.health.name(service, member)
    -- At once, for those whose check runs just now.
    self.turns[name] = nil
    self.dict:delete(keys.health.active(name))
    self.dict:delete(keys.health.due(name))
  end
end

--- Takes the targets of the sets in force. An instance that had a check at the last look and has none now is forgotten;
--- at the first look that may be any. Yields.
local function list_targets(self)
  local targets, turns, services, rests = {}, {}, {}, pace.new()
  for _, service in ipairs(self.store:names()) do
    rests:rest()
    local upstream = self.upstream(service)
    if upstream and upstream.health and upstream.health.check then
      services[service] = true
      add_targets(self, service, upstream, targets, turns)
    elseif upstream and (not self.services or self.services[service]) then
      forget(self, service, upstream.members)
    end
  end
  self.targets, self.turns, self.services = targets, turns, services
end

--- True if the target is due. What the dictionary says counts: another worker may have had the lock meanwhile.
local function is_due(self, target, now)
  local turn = target.turn
  if turn.due and turn.due > now and turn.due <= now + target.interval * (1 + JITTER) then return false end
  local written = self.dict:get(keys.health.due(target.name))
  if written then
    -- Not later than the interval of today says.
    turn.due = math.min(written, now + target.interval)
  else
    turn.due = now + math.random() * target.interval
    self.health:put(keys.health.due(target.name), turn.due)
  end
  return turn.due <= now
end

local function finish(self, target, was_slow, passed, reason)
  local turn = target.turn
  self.running = self.running - 1
  if was_slow then self.slow = self.slow - 1 end
  turn.running, turn.slow = false, not passed and reason == 'timed out'
  -- The set has no check any more, or this instance is another one now.
  if self.turns[target.name] ~= turn then return end
  self.counters:add(metrics.probes, 1, target.service, passed and 'pass' or 'fail')
  self.health:checked(target.service, target.name, target.id, passed, reason, target.health)
end

local function begin(self, target, now)
  local turn = target.turn
  local was_slow = turn.slow
  -- As planned, but not at once after one that came late.
  turn.due = math.max(turn.due + target.interval * (1 + (math.random() * 2 - 1) * JITTER), now + target.interval / 2)
  -- First what keeps the next worker from asking at once, then the check.
  self.health:put(keys.health.due(target.name), turn.due)
  local started = timer.soon('check', function()
    local ran, passed, reason = pcall(probe.run, target)
    if not ran then passed, reason = false, tostring(passed) end
    finish(self, target, was_slow, passed, reason)
  end)
  if not started then return end
  turn.running, self.running = true, self.running + 1
  if was_slow then self.slow = self.slow + 1 end
end

--- Begins those of `queue`, evenly over the time there is, as soon as there is room for them. What is left when that is over, or
--- must wait because too many are slow, is in the next queue again. Yields.
local function feed(self, queue)
  local together = math.min(TOGETHER, math.ceil(#queue / (FEED * 1000)))
  local next_one, ends = 1, clock.now() + FEED
  while next_one <= #queue and clock.now() < ends and not ngx.worker.exiting() and self.is_owner() do
    local begun = 0
    while begun < together and self.running < PARALLEL and next_one <= #queue do
      local target = queue[next_one]
      next_one = next_one + 1
      if not target.turn.slow or self.slow < SLOW then
        begin(self, target, clock.now())
        begun = begun + 1
      end
    end
    ngx.sleep(0.001)
  end
end

--- Begins what is due, the longest overdue first. Call it about ten times a second while the lock is owned. Yields.
function prober:tick(now)
  local stamp = self.sets:get(keys.sets.last_stamp)
  if stamp ~= self.stamp and now - self.listed_at >= LISTED then
    self.stamp, self.listed_at = stamp, now
    list_targets(self)
  end
  local due = {}
  for _, target in ipairs(self.targets) do
    if not target.turn.running and is_due(self, target, now) then due[#due + 1] = target end
  end
  table.sort(due, function(a, b) return a.turn.due < b.turn.due end)
  feed(self, due)
end

return prober
