--- One check of one instance. However the target drips, it takes no longer than its timeout.
local check = require 'ebbgate.core.check'
local clock = require 'ebbgate.worker.clock'

local probe = {}

local READ = 8192

--- The milliseconds left until `deadline`, at least 1.
local function left(deadline)
  return math.max(1, math.floor((deadline - clock.fresh()) * 1000))
end

local function is_late(deadline)
  return clock.fresh() >= deadline
end

local function read_answer(socket, rules, deadline)
  local text = ''
  while true do
    if is_late(deadline) then return false, 'timed out' end
    socket:settimeout(left(deadline))
    local data, err = socket:receiveany(READ)
    if not data and err ~= 'closed' then return false, err == 'timeout' and 'timed out' or err end
    text = text .. (data or '')
    local passed, reason = check.verdict(text, not data, rules)
    if passed ~= nil then return passed, reason end
  end
end

local function ask(socket, target, deadline)
  local rules = target.check
  if target.tls then
    socket:settimeout(left(deadline))
    -- Whether the certificate is to be trusted is asked where requests go, not here.
    local shaken, err = socket:sslhandshake(nil, rules.host ~= '' and rules.host or nil, false)
    if not shaken then return false, err == 'timeout' and 'timed out' or 'TLS: ' .. tostring(err) end
  end
  if rules.type == 'tcp' then return true end
  socket:settimeout(left(deadline))
  local sent, err = socket:send(check.request(rules.path, rules.host ~= '' and rules.host or target.authority))
  if not sent then return false, err == 'timeout' and 'timed out' or err end
  return read_answer(socket, rules, deadline)
end

--- target {address, port, authority, tls, check}. True, or false and why.
function probe.run(target)
  local deadline = clock.fresh() + target.check.timeout_ms / 1000
  local socket = ngx.socket.tcp()
  socket:settimeout(left(deadline))
  -- A pool of its own: what a check has used is never used again.
  local connected, err = socket:connect(target.address, target.port, { pool = 'ebbgate-check' })
  if not connected then return false, err == 'timeout' and 'timed out' or err end
  local passed, reason = ask(socket, target, deadline)
  socket:close()
  return passed, reason
end

return probe
