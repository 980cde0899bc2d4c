--- What of a request its instance is chosen by: the name of nginx's variable that has it.
---
--- A header or argument that is there twice counts by its first; values are taken as they came, not decoded.
local request_key = {}

local PREFIXES = { header = 'http_', cookie = 'cookie_', query = 'arg_' }

--- The variable for a set's balancer, or false if its algorithm hashes nothing.
function request_key.variable(balancer)
  if balancer.algorithm == 'ip_hash' then return 'remote_addr' end
  if balancer.algorithm ~= 'consistent_hash' then return false end
  local on = balancer.hash_on
  if on.source == 'path' then return 'uri' end
  local name = on.name
  if on.source == 'header' then name = string.gsub(string.lower(name), '-', '_') end
  return PREFIXES[on.source] .. name
end

return request_key
