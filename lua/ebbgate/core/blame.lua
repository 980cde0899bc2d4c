--- Whether the client, not the instance, made a try fail: by what it sent, or asked for. A client can do that as often as it
--- likes, so it must take no instance out. `var` has nginx's variables of that try, in lists with those of the tries before it.
local match = string.match

local blame = {}

--- More than any head, so some of it was a body.
local LONGEST_HEAD = 65536

--- The last number of a list with one value per try; 0 if there is none.
local function last(list)
  return tonumber(list and match(list, '(%d+)[,:%s]*$')) or 0
end

--- True if the connection broke while the request's body was being sent: an instance that answers early (413, 401) and closes
--- breaks it, and the answer is lost if nginx was writing. `var.content_length` is nil while a body of unknown length comes in.
function blame.is_upload(var)
  local sent, length = last(var.upstream_bytes_sent), tonumber(var.content_length)
  if length then return sent < length end
  if var.server_protocol ~= 'HTTP/2.0' and not var.http_transfer_encoding then return false end
  return sent > LONGEST_HEAD or last(var.request_length) > sent
end

--- True if the answer's head was longer than the buffer of `head_bytes` for it. It says something about a URL.
function blame.is_long_head(var, head_bytes)
  return last(var.upstream_bytes_received) == head_bytes
end

return blame
