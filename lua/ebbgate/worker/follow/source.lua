--- Where the sets are read: at the replica of `--redis-replica` while it is fresh (core/freshness.lua), else at the primary,
--- which is also where everything is written. Without a replica it is always the primary.
local freshness = require 'ebbgate.core.freshness'
local keys = require 'ebbgate.core.keys'
local position = require 'ebbgate.core.position'
local publication = require 'ebbgate.core.publication'
local clock = require 'ebbgate.worker.clock'
local redis = require 'ebbgate.worker.follow.redis'
local timer = require 'ebbgate.worker.timer'

local source = {}
source.__index = source

--- Seconds between two looks at a replica that is not read.
local LOOK_EVERY = 1
local POINT = { 'hmget', keys.redis.meta, 'epoch', 'generation', 'sealed' }

--- parts {primary, replica (nil: there is none), state, problems}. Both are of worker/follow/redis.lua.
function source.new(parts)
  parts.freshness, parts.looked_at, parts.looking = freshness.new(), -math.huge, false
  return setmetatable(parts, source)
end

--- Whom to read now; ask again for each pass, and stay with it to its end.
function source:server() return self.freshness.reads and self.replica or self.primary end

--- True if `server` is the replica.
function source:is_replica(server) return server == self.replica end

--- The command whose answer `primary_said` wants, or nil if nobody needs it.
function source:question() return self.replica and POINT end

--- The primary has answered `question` with `reply`.
function source:primary_said(reply) self.freshness:primary_said(publication.read_point(reply), clock.now()) end

--- `server` has said {epoch, generation, sealed} of itself.
function source:said(server, point)
  if self:is_replica(server) then self.freshness:replica_said(point) end
end

--- Seconds until the replica is late, 0 or less if it is; nil if it lacks nothing, or is not read.
function source:late_in() return self.freshness:late_in(clock.now()) end

--- Reads the primary from now on, because of `why`.
function source:leave(why)
  self.freshness:leave(clock.now())
  self.problems:raise('replica', 'sets are read from the primary: ' .. tostring(why))
  self.state:safe_set(keys.state.source, 'primary')
end

local function look(self)
  local reply, err = self.replica:run(function(connection)
    local replies, why = redis.pipeline(connection, { POINT })
    return replies and replies[1], why
  end)
  local epoch, generation = position.unpack(self.state:get(keys.state.applied))
  local applied = epoch and { epoch = epoch, generation = generation }
  local point = publication.read_point(reply)
  if self.freshness:probed(point, applied, clock.now()) then
    self.problems:settle('replica')
    self.state:safe_set(keys.state.source, 'replica')
    ngx.log(ngx.NOTICE, 'ebbgate: sets are read from the replica')
  elseif not self.freshness.well_since and not self.problems:has('replica') then
    self:leave(err or (point and 'the replica lacks what the primary has' or 'the replica has no sets'))
  end
end

--- Called ten times a second by the worker that follows: looks whether the replica may be read.
function source:tick(now)
  if not self.replica or self.freshness.reads or self.looking or now - self.looked_at < LOOK_EVERY then return end
  self.looking, self.looked_at = true, now
  local started = timer.soon('replica', function()
    local ok, err = pcall(look, self)
    self.looking = false
    if not ok then ngx.log(ngx.ERR, 'ebbgate: replica: ', err) end
  end)
  if not started then self.looking = false end
end

--- Writes down for every worker where the sets are read, and forgets what a worker before this one had found of it.
function source:show()
  if self.replica then
    self.state:safe_set(keys.state.source, self.freshness.reads and 'replica' or 'primary')
  else
    self.problems:settle('replica')
    self.state:delete(keys.state.source)
  end
end

return source
