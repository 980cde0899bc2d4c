--- What sentinels and nodes of a cluster say of who may be written, read and chosen: as control-plane/src/redis/topology does.
local match, find = string.match, string.find

local redis_nodes = {}

--- The slot of every key with the tag {ebb}.
redis_nodes.SLOT = 4407

local function port_of(value)
  local port = tonumber(value)
  return port and port >= 1 and port <= 65535 and port == math.floor(port) and port or nil
end

--- What SENTINEL MASTER answers, names and values in turn → {node = {host, port}, epoch}; nil if it has no address.
function redis_nodes.read_master(reply)
  if type(reply) ~= 'table' then return nil end
  local fields = {}
  for i = 1, #reply - 1, 2 do fields[reply[i]] = reply[i + 1] end
  local host, port = fields.ip, port_of(fields.port)
  if type(host) ~= 'string' or host == '' or not port then return nil end
  return { node = { host = host, port = port }, epoch = tonumber(fields['config-epoch']) or 0 }
end

--- The node of the highest epoch: a sentinel that was cut off still names the old master. Nil of none.
function redis_nodes.newest(seen)
  local newest
  for _, one in ipairs(seen) do
    if not newest or one.epoch > newest.epoch then newest = one end
  end
  return newest and newest.node
end

--- What CLUSTER SLOTS answers → the owner of our slot; no host means that of `from`. Nil if nobody has the slot.
function redis_nodes.read_owner(reply, from)
  if type(reply) ~= 'table' then return nil end
  for _, range in ipairs(reply) do
    local first, last, master = tonumber(range[1]), tonumber(range[2]), range[3]
    if first and last and first <= redis_nodes.SLOT and redis_nodes.SLOT <= last and type(master) == 'table' then
      local host, port = master[1], port_of(master[2])
      if not port or host == '?' then return nil end
      return { host = type(host) == 'string' and host ~= '' and host or from.host, port = port }
    end
  end
  return nil
end

--- `host:port`, to compare and to show.
function redis_nodes.name(node)
  return (find(node.host, ':', 1, true) and '[' .. node.host .. ']' or node.host) .. ':' .. node.port
end

--- The node that most have named, the first of those that tie; nil of none.
function redis_nodes.most_named(nodes)
  local votes, most = {}, nil
  for _, node in ipairs(nodes) do
    local name = redis_nodes.name(node)
    votes[name] = (votes[name] or 0) + 1
  end
  for _, node in ipairs(nodes) do
    if not most or votes[redis_nodes.name(node)] > votes[redis_nodes.name(most)] then most = node end
  end
  return most
end

--- `MOVED 4407 host:port` and `ASK …` → 'moved' | 'ask' and the node; nil for any other error. No host means that of `from`.
function redis_nodes.redirect(err, from)
  local word, host, port = match(tostring(err), '^(%u+) %d+ (.*):(%d+)$')
  if (word ~= 'MOVED' and word ~= 'ASK') or host == '?' or not port_of(port) then return nil end
  host = host == '' and from.host or match(host, '^%[(.*)%]$') or host
  return word == 'ASK' and 'ask' or 'moved', { host = host, port = tonumber(port) }
end

return redis_nodes
