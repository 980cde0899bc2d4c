--- Which service a request is for, and by which location of nginx.conf it goes there.
local methods = require 'ebbgate.phase.http.methods'
local request_facts = require 'ebbgate.phase.http.request_facts'
local live = require 'ebbgate.worker.live'

local route = {}

--- The entry of the service (worker/live.lua) and its upstream, which is nil if there is no such set. Or nil, nil and the code of
--- the refusal. Fourth what its route does (core/route_actions.lua), if anything.
function route.find(var)
  local router = live.router()
  if not router then return nil, nil, 'not_ready' end
  if router.conditional then request_facts.begin(var) end
  local found = router:match(var.host, var.uri, request_facts)
  if not found then return nil, nil, 'no_route' end
  if found.name ~= '' then var.ebb_route = found.name end
  local entry = live.entry(found.service)
  return entry, live.upstream(entry), nil, found.actions
end

--- The name of the proxy location that this request takes (core/proxy_location.lua), or false: `location /` does it. What may
--- not be repeated gets no answer tried elsewhere, and where there is one instance there is no elsewhere: such requests take
--- the location in which only broken tries are repeated.
function route.location(upstream)
  if upstream.location == upstream.cautious then return upstream.location end
  if upstream.reach == 1 and live.asks_again or not methods.may_repeat() then return upstream.cautious end
  return upstream.location
end

return route
