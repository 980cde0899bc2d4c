--- The one place that speaks to Redis. Never on a request's path.
local found, client = pcall(require, 'resty.redis')
if not found then client = require 'nginx.redis' end

local redis = {}
redis.__index = redis

local CONNECT_MS, COMMAND_MS = 1000, 1000
local POOL_SIZE, POOL_IDLE_MS = 4, 30000

--- options {host, port, username, password, database}
function redis.new(options)
  return setmetatable({ options = options, moved = nil }, redis)
end

local function authenticate(self, connection)
  local options = self.options
  local answer, err
  if options.password and options.username ~= '' then
    answer, err = connection:auth(options.username, options.password)
  elseif options.password then
    answer, err = connection:auth(options.password)
  else
    return true
  end
  if not answer then return nil, 'auth: ' .. tostring(err) end
  return true
end

--- An authenticated connection, or nil and why. `pool` keeps subscribers and commands apart.
local function connect(self, pool)
  local options = self.options
  local host, port = options.host, options.port
  if self.moved then host, port = self.moved.host, self.moved.port end
  local connection, err = client:new()
  if not connection then return nil, err end
  connection:set_timeout(CONNECT_MS)
  local ok, why = connection:connect(
    string.find(host, ':', 1, true) and '[' .. host .. ']' or host, port,
    { pool = table.concat({ 'ebbgate', pool, host, port, options.username, options.database }, '|') }
  )
  if not ok then
    -- A cluster's other node may be gone again: begin again at the configured one.
    self.moved = nil
    return nil, 'connect: ' .. tostring(why)
  end
  connection:set_timeout(COMMAND_MS)
  if connection:get_reused_times() > 0 then return connection end
  ok, why = authenticate(self, connection)
  if ok and options.database ~= 0 then
    ok, why = connection:select(options.database)
  end
  if not ok then
    connection:close()
    return nil, tostring(why)
  end
  return connection
end

--- Redis Cluster answers MOVED when another node has the slot; all keys are in one slot, so one target will do.
local function follow_moved(self, err)
  local host, port = string.match(tostring(err), '^MOVED %d+ (.*):(%d+)$')
  if host then self.moved = { host = host ~= '' and host or self.options.host, port = tonumber(port) } end
end

--- One attempt of `run`; the third result: a kept connection had died meanwhile, so that a new one may do.
local function attempt(self, work)
  local connection, err = connect(self, 'commands')
  if not connection then return nil, err, false end
  local reused = connection:get_reused_times() > 0
  local ok, result, why = pcall(work, connection)
  if not ok then result, why = nil, result end
  if result == nil then
    follow_moved(self, why)
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
  local answer, err = connection:evalsha(script.sha1, key_count, unpack(keys_and_args))
  if answer == false and string.find(err, 'NOSCRIPT', 1, true) then
    answer, err = connection:eval(script.text, key_count, unpack(keys_and_args))
  end
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
