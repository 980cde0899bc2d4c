--- Whether a request may go on to the instances of its service.
local affinity = require 'ebbgate.phase.http.affinity'
local request_head = require 'ebbgate.phase.http.request_head'
local policies = require 'ebbgate.worker.policies'

local admit = {}

--- The code of the refusal (core/problem_json.lua), and what a policy says of it; or nil, nil and the seconds that a policy has
--- the request wait, nil if none does. `upstream` may be nil. Cleans the request's head. Policies are asked last, and not asked
--- where there are none.
function admit.refusal(upstream, var)
  if not upstream or upstream.reach == 0 and not affinity.is_kept(upstream, var) then return 'no_instance' end
  if not request_head.clean() then return 'bad_request' end
  if upstream.policies then return policies.refusal(upstream.policies, var) end
  return nil
end

return admit
