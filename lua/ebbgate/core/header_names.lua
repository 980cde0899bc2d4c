--- Which header names a request may have, and which of them a client can neither remove nor imitate.
local find, gsub = string.find, string.gsub

local header_names = {}

--- Names (lower case) that a Connection header must not take from a request, and that no other name may be mistaken for.
local GUARDED = {}
for _, name in ipairs({
  -- They frame the message, or name its target.
  'host', 'content-length', 'transfer-encoding',
  -- About the connection to this gateway; it decides on them itself.
  'connection', 'upgrade', 'te', 'trailer', 'keep-alive', 'proxy', 'proxy-connection', 'proxy-authorization',
  'proxy-authenticate', 'http2-settings', 'expect',
  -- The gateway says by them who the client is; what it says rests on what a trusted proxy said.
  'forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-prefix',
  'x-real-ip', 'x-request-id', 'x-ebbgate-consumer', 'via', 'traceparent', 'tracestate',
  -- For all recipients (RFC 9110, 7.6.1): without them the request would be another one, of somebody else.
  'authorization', 'cookie', 'cache-control', 'content-type', 'content-encoding', 'content-range', 'range', 'if-match',
  'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range',
}) do GUARDED[name] = true end

header_names.GUARDED = GUARDED

--- What a name of HTTP may have (RFC 9110, 5.6.2), and what the option `header_names` lets through.
local TOKEN = "^[a-z0-9!#$%%&'*+.^_`|~-]+$"
local ALLOWED = { plain = '^[a-z0-9-]+$', underscores = '^[a-z0-9_-]+$', any = TOKEN }

--- Checks a name in lower case: nil if the instance gets the header, else why not: 'invalid' if it is no name, so that the
--- request is no HTTP; 'name' if names like it are not let through; 'lookalike' if it only differs from a guarded one by
--- characters that CGI, WSGI and the like take for the same.
function header_names.fault(name, allowed)
  if not find(name, TOKEN) then return 'invalid' end
  if not find(name, ALLOWED[allowed]) then return 'name' end
  if not find(name, '[^a-z0-9-]') then return nil end
  if GUARDED[gsub(name, '[^a-z0-9]', '-')] then return 'lookalike' end
  return nil
end

return header_names
