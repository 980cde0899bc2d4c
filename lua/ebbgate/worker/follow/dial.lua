--- One connection to one Redis or sentinel: TCP, TLS, credentials, database.
local address = require 'ebbgate.core.address'
local redis_nodes = require 'ebbgate.core.redis_nodes'

local found, client = pcall(require, 'resty.redis')
if not found then client = require 'nginx.redis' end

local dial = {}

local function authenticate(connection, login)
  if not login.password then return true end
  local answer, err
  if login.username then
    answer, err = connection:auth(login.username, login.password)
  else
    answer, err = connection:auth(login.password)
  end
  if not answer then return nil, 'auth: ' .. tostring(err) end
  return true
end

--- The name that the certificate must have is in the URL, or is that of the host.
local function shake(connection, node, tls)
  local name = tls.server_name or node.host
  if address.family(name) then
    return nil, 'the certificate cannot be checked: add server_name to the Redis URL'
  end
  local socket = connection._sock
  if tls.chain then
    local set, err = socket:setclientcert(tls.chain, tls.private)
    if not set then return nil, 'client certificate: ' .. tostring(err) end
  end
  local shaken, err = socket:sslhandshake(nil, name, true)
  if not shaken then return nil, 'TLS: ' .. tostring(err) end
  return true
end

--- access {tls, login {username, password}, database, pool (its name), connect_ms, command_ms}. An authenticated connection; true
--- if it was kept from before; or nil and why.
function dial.open(node, access)
  local login, database = access.login, access.database or 0
  local connection, err = client:new()
  if not connection then return nil, err end
  connection:set_timeout(access.connect_ms)
  local ok, why = connection:connect(address.in_url(node.host), node.port, {
    pool = table.concat({
      'ebbgate', access.pool, redis_nodes.name(node), login.username or '', database, access.tls and 'tls' or '',
    }, '|'),
  })
  if not ok then return nil, redis_nodes.name(node) .. ': connect: ' .. tostring(why) end
  if connection:get_reused_times() > 0 then
    connection:set_timeout(access.command_ms)
    return connection, true
  end
  if access.tls then ok, why = shake(connection, node, access.tls) end
  connection:set_timeout(access.command_ms)
  if ok then ok, why = authenticate(connection, login) end
  if ok and database ~= 0 then ok, why = connection:select(database) end
  if ok then return connection, false end
  connection:close()
  return nil, redis_nodes.name(node) .. ': ' .. tostring(why)
end

return dial
