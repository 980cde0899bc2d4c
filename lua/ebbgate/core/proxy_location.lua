--- Which of nginx's rendered locations a service's requests take. `proxy_next_upstream` and the protocol of an upstream take no
--- variable, so there is a location for each way to reach instances and each class of retries; what most services want is
--- `location /` itself.
local proxy_location = {}

--- `retry.on` and `retry.non_idempotent` of the requests that need no location of their own, over plain HTTP.
local USUAL = 'http-error'

--- How instances are reached: `http`, `grpc`, `https-PROFILE` or `grpcs-PROFILE`. Connections of one are never used for another.
function proxy_location.transport(upstream)
  if not upstream then return 'http' end
  if upstream.scheme == 'https' or upstream.scheme == 'grpcs' then return upstream.scheme .. '-' .. upstream.tls end
  return upstream.scheme
end

--- The named location, or false where `location /` does it.
function proxy_location.name(transport, retry)
  local name = transport .. '-' .. (retry and retry.on or 'error') .. (retry and retry.non_idempotent and '-any' or '')
  return name ~= USUAL and '@ebb-' .. name
end

--- The location of the same service in which no answer of an instance is tried elsewhere. Where POST may be repeated too it
--- is the same one.
function proxy_location.cautious(transport, retry)
  if retry and retry.non_idempotent then return proxy_location.name(transport, retry) end
  return proxy_location.name(transport, nil)
end

return proxy_location
