--- Whether an answer's head says one thing about where its body ends (RFC 9112, 6.3). Where it says two, the next hop may read
--- another end than this one, and take what is behind it for the answer to another request.
local lower, match = string.lower, string.match

local framing = {}

--- True if the head is sound.
---   status    of the answer, 200 or more
---   given     the first Content-Length that the instance sent, or nil
---   taken     the length that nginx made of all of them, as a text; nil if that is none: no number, or a chunked body
---   encoding  the first Transfer-Encoding, or nil; asked for only if it matters
function framing.is_sound(status, given, taken, encoding)
  if given then
    if given ~= taken and not (taken and match(given, '^%d+$') and tonumber(given) == tonumber(taken)) then return false end
    -- Many servers send a 204 with the length 0, and nobody can read that in two ways.
    return status ~= 204 or tonumber(given) == 0
  end
  if not encoding then return true end
  return status ~= 204 and (encoding == 'chunked' or lower(encoding) == 'chunked')
end

return framing
