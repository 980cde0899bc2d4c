--- Keeps this gateway on the newest sets, in the worker that owns the lock.
---
--- A session subscribes, catches up, and then waits for hints; it polls too, because a hint may be lost, and asks a silent
--- subscription for a sign of life, because it may be half open. It is at one server from its beginning to its end
--- (worker/follow/source.lua): a replica that fails or is late is left for the primary at once. A session ends after a
--- minute, for its memory's sake (a timer frees what it took only at its end); about once a minute one begins by comparing
--- everything.
local keys = require 'ebbgate.core.keys'
local position = require 'ebbgate.core.position'
local clock = require 'ebbgate.worker.clock'
local departure = require 'ebbgate.worker.report.departure'
local link_state = require 'ebbgate.worker.report.link_state'
local redis = require 'ebbgate.worker.follow.redis'
local timer = require 'ebbgate.worker.timer'

local sync = {}
sync.__index = sync

local SESSION = 60
local COMPARE_EVERY = 55
local SILENCE = 1
local FIRST_WAIT, LONGEST_WAIT = 0.1, 3

--- parts {source, state, state_dir, catch_up, reporter, store, lock, problems, poll (seconds)}
function sync.new(parts)
  parts.running, parts.not_before, parts.wait, parts.compared_at = false, 0, FIRST_WAIT, nil
  return setmetatable(parts, sync)
end

--- Catches up at `server`, and acks at once if that moved anything. True, or nil and why it did not answer.
local function catch_up(self, server, whole)
  local before = self.state:get(keys.state.applied)
  local rejected = self.state:get(keys.state.rejected)
  local answered, err = self.catch_up:run(whole, server)
  -- Of the replica the heartbeats say nothing, nor it of the primary.
  if not self.source:is_replica(server) then link_state.note(self.state, answered) end
  if not answered and self.source:is_replica(server) then return nil, err end
  if not answered then
    self.problems:raise('redis', tostring(err))
    return nil, err
  end
  self.problems:settle('redis')
  if self.state:get(keys.state.applied) ~= before or self.state:get(keys.state.rejected) ~= rejected then
    self.reporter:beat()
  end
  return true
end

--- True if the hint is of something that is not applied yet. An unsealed epoch is always worth a look.
local function is_newer(self, hint)
  local epoch_text, generation_text = string.match(hint, '^(%d+):(%d+)$')
  local epoch, generation = position.whole(epoch_text), position.whole(generation_text)
  if not epoch or not generation then return false end
  local applied_epoch, applied_generation = self.catch_up:applied()
  return position.newer(epoch, generation, applied_epoch, applied_generation)
    or self.state:get(keys.state.sealed_epoch) ~= applied_epoch
end

local function next_poll(self)
  return clock.now() + self.poll * (0.75 + math.random() / 2)
end

--- True if the replica does not have in time what the primary has: it is asked once more before it is left.
local function is_late(self)
  local late_in = self.source:late_in()
  return late_in ~= nil and late_in <= 0
end

--- When to look up from waiting, in seconds from now.
local function next_look(self, poll_at)
  return math.min(SILENCE, poll_at - clock.now(), self.source:late_in() or SILENCE)
end

--- Waits for hints until the session is over. True, or nil and why the subscription broke.
local function follow_hints(self, server, subscription)
  local ends, poll_at = clock.now() + SESSION, next_poll(self)
  local heard_at, asked = clock.now(), false
  while clock.now() < ends do
    local wait = math.max(1, next_look(self, poll_at) * 1000)
    local hint, err = redis.next_message(subscription, wait)
    if ngx.worker.exiting() or not self.lock:take() or self.source:server() ~= server then return true end
    if hint then
      heard_at, asked = clock.now(), false
    elseif err ~= 'timeout' then
      return nil, err
    elseif clock.now() - heard_at >= (asked and 2 or 1) * SILENCE then
      if asked then return nil, 'the subscription is silent' end
      local sent, why = redis.ping_subscription(subscription)
      if not sent then return nil, why end
      asked = true
    end
    if server:is_elsewhere(subscription) then return nil, 'another Redis is the one to follow now' end
    local late = is_late(self)
    if late or clock.now() >= poll_at or (hint and hint ~= '' and is_newer(self, hint)) then
      local answered, why = catch_up(self, server, false)
      if not answered then return nil, why end
      if late and is_late(self) then return nil, 'the replica is late' end
      poll_at = next_poll(self)
    end
  end
  return true
end

--- This gateway is known and has the newest sets: the primary has answered both.
local function begin_to_serve(self)
  self.reporter:beat()
  if departure.is_marked(self.state) then departure.known(self.state, self.state_dir) end
  self.state:safe_set(keys.state.serving, true)
end

--- The primary did not answer a gateway that has just started: the replica may have more than its disk.
local function follow_replica_alone(self, primary)
  local server = self.source:server()
  if server ~= primary then catch_up(self, server, false) end
end

--- A session at a replica has ended with `why`. If it was `well` and then closed, as by a failover, the replica is tried again;
--- else the primary is read, at once. What the session is to return.
local function end_at_replica(self, well, why)
  if not why then return true end
  if well and why == 'closed' then return false end
  self.source:leave(why)
  return true
end

--- True if the session went well to its end, or may go on elsewhere at once; else false: then the next one waits a little.
local function session(self)
  self.reporter:watch_all(self.store)
  self.source:show()
  local serving = self.state:get(keys.state.serving)
  -- Be known before learning the sets: who counts on our ack must know that it is missing.
  if not serving then self.reporter:beat() end
  -- Only who is in step with the primary may begin to serve.
  local server = serving and self.source:server() or self.source.primary
  local at_replica = self.source:is_replica(server)
  local subscription, err = server:subscribe(keys.redis.changed)
  local compare = not self.compared_at or clock.now() - self.compared_at >= COMPARE_EVERY
  local answered, why = catch_up(self, server, compare)
  if answered and compare then self.compared_at = clock.now() end
  if not serving then
    if answered then begin_to_serve(self) else follow_replica_alone(self, server) end
  end
  if not subscription then
    if at_replica then return end_at_replica(self, false, why or err) end
    if answered then self.problems:raise('subscribe', tostring(err)) end
    return false
  end
  local well = answered
  if answered then
    self.problems:settle('subscribe')
    self.wait = FIRST_WAIT
    well, why = follow_hints(self, server, subscription)
  end
  subscription:close()
  if at_replica then return end_at_replica(self, answered, why) end
  if answered and why then self.problems:raise('subscribe', why) end
  return well
end

--- Starts a session unless one runs or the last one failed a moment ago. Call it as long as the lock is owned.
function sync:ensure()
  if self.running or clock.now() < self.not_before then return end
  self.running = true
  local started = timer.soon('sync', function()
    local ok, well = pcall(session, self)
    self.running = false
    if not ok then ngx.log(ngx.ERR, 'ebbgate: sync: ', well) end
    if ok and well then return end
    self.not_before = clock.now() + self.wait * (0.5 + math.random() / 2)
    self.wait = math.min(self.wait * 2, LONGEST_WAIT)
  end)
  if not started then self.running = false end
end

return sync
