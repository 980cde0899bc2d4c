--- The one place that speaks to Redis. Never on a request's path.
local redis_nodes = require 'ebbgate.core.redis_nodes'
local clock = require 'ebbgate.worker.clock'
local dial = require 'ebbgate.worker.follow.dial'
local locate = require 'ebbgate.worker.follow.locate'

local redis = {}
redis.__index = redis

local CONNECT_MS, COMMAND_MS = 1000, 1000
local POOL_SIZE, POOL_IDLE_MS = 4, 30000
--- How often it is asked who may be written: the master of before may live on, cut off from the others.
local LOCATE_EVERY = 3

--- address: a parsed Redis URL (core/redis_url.lua) with its passwords, and the client's certificate in `tls`.
function redis.new(address)
  return setmetatable({ address = address, node = nil, located_at = 0, locating = false }, redis)
end

--- True if another server may become the one that is written.
local function may_move(self) return self.address.kind ~= 'single' end

--- The node that may be written, or nil and why nobody knows. No answer from anybody leaves the one of before.
local function whereabouts(self)
  local due = self.node == nil or (may_move(self) and clock.now() - self.located_at >= LOCATE_EVERY)
  if not due or (self.node and self.locating) then return self.node end
  self.locating = true
  local ok, node, err = pcall(locate.run, self.address, self.address.tls)
  self.locating = false
  if not ok then node, err = nil, node end
  self.located_at = clock.now()
  if node then self.node = node end
  return self.node, err
end

--- A sentinel may still name a master of before, which is a replica by now.
local function check_role(self, connection, node)
  if self.address.kind ~= 'sentinel' then return true end
  local role, err = connection:role()
  if type(role) == 'table' and role[1] == 'master' then return true end
  return nil, redis_nodes.name(node) .. (type(role) == 'table' and ' is a replica' or ': role: ' .. tostring(err))
end

--- An authenticated connection to `node`. `pool` keeps subscribers, commands and what follows ASK apart.
local function open(self, node, pool)
  local address = self.address
  return dial.open(node, {
    tls = address.tls, login = address, database = address.database, pool = pool,
    connect_ms = CONNECT_MS, command_ms = COMMAND_MS,
  })
end

--- A connection to the Redis that may be written, and true if it was kept; or nil and why.
local function connect(self, pool)
  local node, err = whereabouts(self)
  if not node then return nil, err end
  local connection, kept = open(self, node, pool)
  local why = kept
  if connection and not kept then
    local right
    right, why = check_role(self, connection, node)
    if not right then
      connection:close()
      connection = nil
    end
  end
  if not connection then
    if may_move(self) then self.node = nil end
    return nil, why
  end
  connection.ebb_link, connection.ebb_node = self, node
  return connection, kept
end

--- What an error says of where to go: to the node that MOVED names, which is believed until the next look, or to be found anew.
local function learn(self, err, node)
  if not may_move(self) then return end
  local kind, to = redis_nodes.redirect(err, node)
  if kind == 'moved' then
    self.node, self.located_at = to, clock.now() + LOCATE_EVERY
  elseif kind == nil and self.node == node then
    self.node = nil
  end
end

--- Follows ASK for one command, while only some keys are at the other node. Any other error is given back as it is.
local function ask_aside(connection, err, command)
  local kind, to = redis_nodes.redirect(err, connection.ebb_node or {})
  if kind ~= 'ask' then return false, err end
  local aside, why = open(connection.ebb_link, to, 'aside')
  if not aside then return nil, why end
  local asked, refused = aside:asking()
  local answer
  if asked then answer, refused = aside[command[1]](aside, unpack(command, 2)) end
  if answer == nil then aside:close() else aside:set_keepalive(POOL_IDLE_MS, POOL_SIZE) end
  return answer, refused
end

--- Runs `commands`, each {name, argument, …}, in one round trip: their replies, of which one may be {false, a WRONGTYPE}. Nil and
--- why if the connection fails or Redis refuses one of them for any other reason.
function redis.pipeline(connection, commands)
  connection:init_pipeline(#commands)
  for _, command in ipairs(commands) do connection[command[1]](connection, unpack(command, 2)) end
  local replies, err = connection:commit_pipeline()
  if not replies then return nil, err end
  for i, reply in ipairs(replies) do
    if type(reply) == 'table' and reply[1] == false then
      local answer, why = ask_aside(connection, reply[2], commands[i])
      if answer then
        replies[i] = answer
      elseif string.sub(tostring(why), 1, 9) ~= 'WRONGTYPE' then
        return nil, why
      end
    end
  end
  return replies
end

--- One attempt of `run`; the third result: a kept connection had died meanwhile, so that a new one may do.
local function attempt(self, work)
  local connection, reused = connect(self, 'commands')
  if not connection then return nil, reused, false end
  local ok, result, why = pcall(work, connection)
  if not ok then result, why = nil, result end
  if result == nil then
    learn(self, why, connection.ebb_node)
    connection:close()
    return nil, why, reused and (why == 'closed' or why == 'broken pipe' or why == 'connection reset by peer')
  end
  connection:set_keepalive(POOL_IDLE_MS, POOL_SIZE)
  return result, why, false
end

--- Runs `work(connection)` and gives back what it returns. When its first result is nil the connection may be out of step
--- and is closed, else kept for the next one. `work` may run again if a kept connection turns out to be dead.
function redis:run(work)
  local result, err, stale
  for _ = 1, POOL_SIZE + 1 do
    result, err, stale = attempt(self, work)
    if not stale then break end
  end
  return result, err
end

--- Runs the script; its text is sent only when Redis does not know it yet. `keys_and_args` is a list. Nil and why if not.
function redis.script(connection, script, key_count, keys_and_args)
  local function call(name, what)
    local answer, err = connection[name](connection, what, key_count, unpack(keys_and_args))
    if answer ~= false then return answer, err end
    return ask_aside(connection, err, { name, what, key_count, unpack(keys_and_args) })
  end
  local answer, err = call('evalsha', script.sha1)
  if answer == false and string.find(err, 'NOSCRIPT', 1, true) then answer, err = call('eval', script.text) end
  -- `false` is an error that Redis gave, nil one of the connection: neither is an answer.
  if not answer then return nil, err end
  return answer
end

--- A connection that is subscribed to `channel`, or nil and why. The caller reads it by `redis.next_message`.
function redis:subscribe(channel)
  local connection, err = connect(self, 'subscriber')
  if not connection then return nil, err end
  local answer, why = connection:subscribe(channel)
  if not answer then
    connection:close()
    return nil, 'subscribe: ' .. tostring(why)
  end
  return connection
end

--- True if the subscription is at a Redis that is not the one to write any more: hints may never come there.
function redis:is_elsewhere(subscription)
  local node = whereabouts(self)
  return node ~= nil and subscription.ebb_node ~= nil and redis_nodes.name(node) ~= redis_nodes.name(subscription.ebb_node)
end

--- Waits up to `ms` for a message: its text; or '' for anything else that proves the connection alive; or nil, 'timeout';
--- or nil and why it is broken.
function redis.next_message(connection, ms)
  connection:set_timeout(math.ceil(ms))
  local reply, err = connection:read_reply()
  if not reply then return nil, err or 'an error reply' end
  if reply[1] == 'message' then return reply[3] end
  return ''
end

--- Asks a silent subscription for a sign of life, which next_message then returns as ''.
function redis.ping_subscription(connection)
  return connection._sock:send('*1\r\n$4\r\nPING\r\n')
end

return redis
