--- Finds the Redis that may be written: asks sentinels, or nodes of a cluster, all at once.
local redis_nodes = require 'ebbgate.core.redis_nodes'
local dial = require 'ebbgate.worker.follow.dial'

local locate = {}

--- A node that may be dead must not keep the living ones waiting: not while it is asked, and hardly once one has answered.
local ASK_MS, GRACE = 500, 0.2

--- The answer to one question, or nil and why.
local function ask(node, access, work)
  local connection, err = dial.open(node, access)
  if not connection then return nil, err end
  local answer, why = work(connection)
  connection:close()
  if not answer then return nil, redis_nodes.name(node) .. ': ' .. tostring(why) end
  return answer
end

--- Runs `work` at every node at the same time: the list of {node, answer} that came, and why others did not.
local function ask_all(nodes, access, work)
  local answers, errors, threads, grace = {}, {}, {}, nil
  for i, node in ipairs(nodes) do
    threads[i] = ngx.thread.spawn(function()
      local answer, err = ask(node, access, work)
      if answer then answers[#answers + 1] = { node, answer } else errors[#errors + 1] = tostring(err) end
      return node
    end)
  end
  local left = { unpack(nodes) }
  while #left > 0 do
    local waiting = {}
    for i, node in ipairs(nodes) do
      for _, one in ipairs(left) do
        if one == node then waiting[#waiting + 1] = threads[i] end
      end
    end
    if grace then waiting[#waiting + 1] = grace end
    local _, ended = ngx.thread.wait(unpack(waiting))
    if ended == 'over' then break end
    local still = {}
    for _, one in ipairs(left) do
      if one ~= ended then still[#still + 1] = one end
    end
    left = #still < #left and still or {}
    if #answers > 0 and #left > 0 and not grace then
      grace = ngx.thread.spawn(function()
        ngx.sleep(GRACE)
        return 'over'
      end)
    end
  end
  -- What has ended already cannot be ended again: that is an error value, which says nothing.
  for _, thread in ipairs(threads) do ngx.thread.kill(thread) end
  if grace then ngx.thread.kill(grace) end
  return answers, errors
end

local function sentinel(found, tls)
  local access = { tls = tls, login = found.sentinel, pool = 'sentinel', connect_ms = ASK_MS, command_ms = ASK_MS }
  local answers, errors = ask_all(found.nodes, access, function(connection)
    return connection:sentinel('MASTER', found.name)
  end)
  local seen = {}
  for _, pair in ipairs(answers) do seen[#seen + 1] = redis_nodes.read_master(pair[2]) end
  local node = redis_nodes.newest(seen)
  if not node then return nil, 'no sentinel names the master ' .. found.name .. ': ' .. table.concat(errors, '; ') end
  return node
end

local function cluster(found, tls)
  local access = { tls = tls, login = found, pool = 'cluster', connect_ms = ASK_MS, command_ms = ASK_MS }
  local answers, errors = ask_all(found.nodes, access, function(connection) return connection:cluster('SLOTS') end)
  local owners = {}
  for _, pair in ipairs(answers) do owners[#owners + 1] = redis_nodes.read_owner(pair[2], pair[1]) end
  local node = redis_nodes.most_named(owners)
  if not node then return nil, 'no node of the cluster names an owner: ' .. table.concat(errors, '; ') end
  return node
end

--- found: the parsed URL; tls as in dial. The node, within about a second; or nil, whom we asked and what they said.
function locate.run(found, tls)
  if found.kind == 'sentinel' then return sentinel(found, tls) end
  if found.kind == 'cluster' then return cluster(found, tls) end
  return found.nodes[1]
end

return locate
