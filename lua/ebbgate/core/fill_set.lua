--- Contract version 2 of the set (docs/contract/wire.md): what is left out says what version 1 would have said there.
---
--- `fill_set(document)` puts it back into a document as it was decoded, and trusts nothing in it: what is wrong stays wrong.
local SECTIONS = {
  balancer = { algorithm = 'weighted_round_robin' },
  timeouts = { connect_ms = 500, send_ms = 60000, read_ms = 60000 },
  retry = { tries = 2 },
  health = { max_fails = 3, fail_timeout_ms = 10000 },
}
local PEER = { version = '', weight = 100, down = false, state = 'up' }

local type, pairs, find = type, pairs, string.find

local function fill(object, defaults)
  for name, value in pairs(defaults) do
    if object[name] == nil then object[name] = value end
  end
end

--- `host:port`, the brackets of IPv6 included.
local function address_id(host, port)
  return find(host, ':', 1, true) and '[' .. host .. ']:' .. port or host .. ':' .. port
end

return function(document)
  for name, defaults in pairs(SECTIONS) do
    if document[name] == nil then document[name] = {} end
    if type(document[name]) == 'table' then fill(document[name], defaults) end
  end
  local upstream = document.upstream
  if type(upstream) == 'table' and upstream.scheme == nil then upstream.scheme = 'http' end
  local auth = document.auth
  if type(auth) == 'table' and auth.type == nil then auth.type = 'none' end
  if type(document.peers) ~= 'table' then return end
  for _, peer in pairs(document.peers) do
    if type(peer) == 'table' then
      fill(peer, PEER)
      if peer.id == nil and type(peer.host) == 'string' and type(peer.port) == 'number' then
        peer.id = address_id(peer.host, peer.port)
      end
    end
  end
end
