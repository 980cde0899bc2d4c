--- The client's end of a request's connection, as the kernel knows it. nginx does not say in the log phase who closed first.
local ffi = require 'ffi'
local get_request = require('resty.core.base').get_request

local client = {}

pcall(ffi.cdef, 'int getsockopt(int socket, int level, int name, void *value, uint32_t *length);')
-- The first members of nginx's request and connection; the same ones in every version.
ffi.cdef [[
  typedef struct { void *data; void *read; void *write; int fd; } ebb_connection_t;
  typedef struct { uint32_t signature; ebb_connection_t *connection; } ebb_request_t;
]]

--- "HTTP", which every request of nginx begins with.
local SIGNATURE = 0x50545448
local IPPROTO_TCP, TCP_INFO, ESTABLISHED = 6, 11, 1
local info, length = ffi.new('uint8_t[8]'), ffi.new('uint32_t[1]')

--- True if the client has neither closed, half-closed nor reset its connection; nil if that cannot be known.
function client.is_connected()
  local r = ffi.cast('ebb_request_t *', get_request())
  -- A connection that does not lead back to its request is not laid out as it is read here.
  if r.signature ~= SIGNATURE or r.connection == nil or r.connection.data ~= ffi.cast('void *', r) then return nil end
  length[0] = 8
  if ffi.C.getsockopt(r.connection.fd, IPPROTO_TCP, TCP_INFO, info, length) ~= 0 then return nil end
  return info[0] == ESTABLISHED
end

--- True if it is known that the client has left.
function client.is_gone() return client.is_connected() == false end

return client
