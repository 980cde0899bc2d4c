--- gRPC's own codes for the gateway's refusals. A client of gRPC reads no problem+json; it would say `unknown` of all of them.
local grpc_status = {}

grpc_status.CONTENT_TYPE = 'application/grpc'

local BY_STATUS = {
  [401] = 16, [403] = 7, [404] = 12, [408] = 4, [413] = 8, [429] = 8, [431] = 8, [500] = 13, [502] = 14, [503] = 14, [504] = 4,
}

--- UNAUTHENTICATED for 401, PERMISSION_DENIED for 403, UNIMPLEMENTED for 404, DEADLINE_EXCEEDED for 408 and 504,
--- RESOURCE_EXHAUSTED for what is too large or too much, UNAVAILABLE for 502 and 503, else INTERNAL.
function grpc_status.of(status)
  return BY_STATUS[status] or 13
end

--- Whether a request with this Content-Type (or nil) is one of gRPC; gRPC-Web is not.
function grpc_status.asked(content_type)
  return content_type ~= nil and string.find(content_type, '^application/grpc%f[+;%z]') ~= nil
end

--- Writes a refusal as gRPC's "trailers only": HTTP says 200, and no body may follow.
function grpc_status.refuse(header, status)
  header.content_type = grpc_status.CONTENT_TYPE
  header.content_length = 0
  header['grpc-status'] = grpc_status.of(status)
end

return grpc_status
