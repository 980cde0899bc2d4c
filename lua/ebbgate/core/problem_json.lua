--- The gateway's own errors as problem+json (RFC 9457), with the members that the control API uses too.
local problem_json = {}

problem_json.CONTENT_TYPE = 'application/problem+json'

local OWN = {
  not_ready = { 503, 'Not ready', 'This gateway has not learned any routes yet.' },
  left = { 503, 'Not ready', 'This gateway has left, and the control plane does not know yet that it is back.' },
  no_route = { 404, 'No route', 'No service has a route for this host and path.' },
  denied = { 403, 'Denied', 'This client may not use this route.' },
  maintenance = { 503, 'Maintenance', 'This service is being worked on.' },
  length_required = { 411, 'Length required', 'This route takes no body of unknown length.' },
  no_instance = { 503, 'No instance', 'No instance of this service takes requests now.' },
  instance_failed = { 502, 'Instance failed', 'No instance of this service gave an answer.' },
  gateway_timeout = { 504, 'Time is over', 'The time that this service gives a request is over.' },
  breaker_open = { 503, 'Reduced capacity', 'The requests of this service fail: it is left alone for a while.' },
  at_capacity = { 503, 'At capacity', 'This service has as many requests open as it may have.' },
  quota_exceeded = { 429, 'Too many requests', 'This service takes no more of such requests now.' },
  unauthenticated = { 401, 'No valid API key', 'This service needs a valid API key.' },
  ambiguous_key = { 400, 'More than one API key', 'The request brings different API keys; send one.' },
  forbidden = { 403, 'Not allowed', 'This API key may not be used here.' },
  instance_timeout = { 504, 'Instance timed out', 'No instance of this service answered in time.' },
}

local BY_STATUS = {
  [400] = { 'bad_request', 'Bad request' },
  [408] = { 'request_timeout', 'Request timed out' },
  [413] = { 'too_large', 'The body is too large' },
  [414] = { 'uri_too_long', 'The URI is too long' },
  [431] = { 'headers_too_large', 'The headers are too large' },
  [500] = { 'internal', 'The gateway failed' },
  [502] = { 'instance_failed' },
  [503] = { 'no_instance' },
  [504] = { 'instance_timeout' },
}

local STATUS = {}
for status, known in pairs(BY_STATUS) do STATUS[known[1]] = status end
for code, own in pairs(OWN) do STATUS[code] = own[1] end

--- The status of a refusal with this code; 503 for one that is not known here.
function problem_json.status_of(code) return STATUS[code] or 503 end

--- The code of a status that the gateway itself gave.
function problem_json.code_of(status)
  local known = BY_STATUS[status]
  return known and known[1] or 'refused'
end

--- Some have a type that clients may know (draft-ietf-httpapi-ratelimit-headers-10).
local TYPES = {
  quota_exceeded = 'https://iana.org/assignments/http-problem-types#quota-exceeded',
  breaker_open = 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
  at_capacity = 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
}

--- The body for `code`; `status` nil is the code's own. `request_id` is hex, made by nginx. `violated`: names of limits, or
--- nil.
function problem_json.body(code, status, request_id, violated)
  local own = OWN[code]
  local known = BY_STATUS[status]
  local title = own and own[2] or known and known[2] or 'The gateway refused the request'
  local detail = own and own[3] or title .. '.'
  local policies = violated and ',"violated-policies":["' .. table.concat(violated, '","') .. '"]' or ''
  return '{"type":"' .. (TYPES[code] or 'about:blank') .. '","title":"' .. title .. '","status":' .. (status or own[1])
    .. ',"detail":"' .. detail .. '","code":"' .. code .. '","request_id":"' .. (request_id or '') .. '"' .. policies .. '}\n'
end

return problem_json
