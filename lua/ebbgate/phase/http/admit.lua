--- Whether a request may go on to the instances of its service.
local affinity = require 'ebbgate.phase.http.affinity'
local authenticate = require 'ebbgate.phase.http.authenticate'
local request_head = require 'ebbgate.phase.http.request_head'
local policies = require 'ebbgate.worker.policies'

local admit = {}

--- Nil if the request brings a key that the service takes; else as `refusal`.
local function identify(auth, var, again)
  -- First: whatever comes of the request, nothing may show a key that is in its query.
  local query = auth.query and authenticate.take(auth)
  if not request_head.clean() then return 'bad_request' end
  return authenticate.refusal(auth, query, var, again)
end

--- The code of the refusal (core/problem_json.lua), and what a policy says of it; or nil, nil and the seconds that a policy has
--- the request wait, nil if none does, and its turn in a policy's queue. `upstream` may be nil. Cleans the request's head. Who
--- asks is known before anything else is said, because another service may answer in place of this one; policies are asked last,
--- and not asked where there are none. `again`: another service was asked about this very request just before.
function admit.refusal(upstream, var, again)
  if not upstream then return 'no_instance' end
  local auth = upstream.auth
  if auth then
    local code, about = identify(auth, var, again)
    if code then return code, about end
  end
  if upstream.reach == 0 and not affinity.is_kept(upstream, var) then return 'no_instance' end
  if not auth and not request_head.clean() then return 'bad_request' end
  if upstream.policies then return policies.refusal(upstream.policies, var) end
  return nil
end

return admit
