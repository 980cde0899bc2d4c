--- How an answer that an instance had begun came to its end. In the log phase nginx says the same of a body that the instance
--- cut short and of one that the client did, except for what is looked at here.
local grpc_status = require 'ebbgate.core.grpc_status'
local get_request = require('resty.core.base').get_request
local client = require 'ebbgate.phase.http.client'
local live = require 'ebbgate.worker.live'

local ending = {}

local http = live.http
local match, byte = string.match, string.byte
local G = byte('g')

--- The last number of a list with one value per try.
local function last(list)
  return tonumber(list and match(list, '([%d.]+)[^%d]*$'))
end

--- A gRPC answer ends with its status: in the trailers, or in a head that is all there is.
local function lacks_status(var)
  return grpc_status.asked(var.upstream_http_content_type) and not var.upstream_trailer_grpc_status
    and not var.upstream_http_grpc_status
end

--- True if the client may have been too slow for nginx, which then cuts it without a word.
local function may_be_slow(var)
  local whole, head = last(var.upstream_response_time), last(var.upstream_header_time)
  return not whole or not head or (whole - head) * 1000 >= live.client_send_ms
end

--- In the body filter, each time it runs. `whole`: the end of the body goes by.
function ending.note(whole)
  http.last_seen, http.seen_whole = get_request(), whole
end

--- Who cut the answer short: 'instance' or 'client'; nil if it came whole. In doubt the client. Call it in the log phase, for
--- every request that came to an instance.
function ending.cut_by(ctx, var)
  local was_last = http.last_seen == get_request()
  -- The next request may be kept at the same place.
  if was_last then http.last_seen = false end
  if var.request_completion == 'OK' then
    if was_last and not http.seen_whole then return 'instance' end
    local transport = ctx.transport
    return transport and byte(transport) == G and lacks_status(var) and 'instance' or nil
  end
  -- Of a chunk that is none nginx ends the request as if the client had gone, and of a client that cancels in HTTP/2 the
  -- connection stays.
  if not client.is_connected() or var.server_protocol == 'HTTP/2.0' or may_be_slow(var) then return 'client' end
  return 'instance'
end

return ending
