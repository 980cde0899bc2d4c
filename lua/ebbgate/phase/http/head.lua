--- Checks the head of an instance's answer, before any of it goes to the client.
local connection = require 'ebbgate.core.connection'
local framing = require 'ebbgate.core.framing'

local head = {}

local ngx = ngx
local lower = string.lower

--- 101 is an answer only to a request that asked for it, and only with the protocol that it asked for.
local function is_upgrade(var)
  local wanted, got = var.ebb_upgrade, var.upstream_http_upgrade
  return wanted ~= nil and wanted ~= '' and got ~= nil and lower(got) == wanted
end

--- Nil if the head may pass, else why not:
---   early      1xx, which announces an answer and is none: this nginx takes it for the answer
---   broken     no HTTP, or two ways to read where the body ends
---   unasked    101 that the client did not ask for
function head.fault(status, var)
  if status < 200 then
    if status == 101 then return not is_upgrade(var) and 'unasked' or nil end
    return status >= 100 and 'early' or 'broken'
  end
  local given = var.upstream_http_content_length
  local sound
  if given then
    sound = framing.is_sound(status, given, ngx.header['content-length'])
  else
    sound = framing.is_sound(status, nil, nil, var.upstream_http_transfer_encoding)
  end
  return not sound and 'broken' or nil
end

--- Takes out the headers that the answer's Connection header (or nil) names: they are about the connection to the instance.
function head.drop_hops(value)
  if not value or connection.is_plain(value) then return end
  local present = {}
  for name in pairs(ngx.resp.get_headers(0, true)) do present[lower(name)] = true end
  local names, header = connection.nominated({ value }, present), ngx.header
  for i = 1, #names do header[names[i]] = nil end
end

return head
