--- Who may send requests to a service: the section `auth` of its set (docs/reference/service-spec.md).
local rules = require 'ebbgate.core.rules'

local find, gsub, lower, match, sub = string.find, string.gsub, string.lower, string.match, string.sub

local auth = {}

--- Headers that HTTP, nginx or the gateway need for themselves. The control plane has the same list (model/auth.ts).
local TAKEN = {}
for name in string.gmatch([[
  host content-length transfer-encoding connection upgrade te trailer keep-alive proxy proxy-connection proxy-authorization
  proxy-authenticate http2-settings expect forwarded via traceparent tracestate cookie content-type content-encoding accept
  accept-encoding user-agent referer origin range cache-control depth destination
]], '%S+') do TAKEN[name] = true end
local TAKEN_BEGINNINGS = { 'x-forwarded-', 'x-ebbgate-', 'x-real-ip', 'x-request-id', 'if-', 'grpc-', 'sec-' }

local function is_header(text)
  if text == '' then return true end
  if #text > 64 or not find(text, '^%a[%w-]*$') then return false end
  local name = lower(text)
  if TAKEN[name] then return false end
  for _, beginning in ipairs(TAKEN_BEGINNINGS) do
    if sub(name, 1, #beginning) == beginning then return false end
  end
  return true
end

local function header(given)
  if given == nil then return 'X-API-Key', false end
  return given, type(given) ~= 'string' or not is_header(given)
end

local read = rules.object({
  type = rules.one_of({ none = true, api_key = true }), header = header, query = rules.text('^[a-z0-9_]*$', 64, ''),
  pass_key = rules.flag(false),
}, true)

--- The rule of the section (core/rules.lua); absent: nobody is asked.
function auth.rule(given)
  local section, wrong = read(given)
  if section == nil and not wrong then section = { type = 'none', header = 'X-API-Key', query = '', pass_key = false } end
  return section, wrong
end

--- What a request of the service is checked by; false if nobody is asked.
---   header   its name in lower case, or false; clear: as it is taken out of the request
---   bearer   the key is behind the word Bearer
---   query    the name of the argument, and variable: that of nginx which has its value; or false
---   challenge  of a 401
function auth.settings(section, service)
  if not section or section.type ~= 'api_key' then return false end
  local name = section.header ~= '' and lower(section.header) or false
  local query = section.query ~= '' and section.query or false
  return {
    service = service, header = name, bearer = name == 'authorization', query = query,
    variable = query and 'arg_' .. query, pass_key = section.pass_key,
    challenge = name == 'authorization' and 'Bearer realm="' .. service .. '"'
      or 'ApiKey realm="' .. service .. '"' .. (name and ', header="' .. section.header .. '"' or '')
        .. (query and ', query="' .. query .. '"' or ''),
    -- What was counted since the last flush (worker/count/counters.lua).
    counted = {
      service = service, admitted = 0, missing = 0, unknown = 0, expired = 0, not_allowed = 0, dirty = false,
    },
  }
end

--- A pattern over names (`*` is any run of characters) as one of Lua.
local function pattern_of(glob)
  return '^' .. gsub(gsub(glob, '[^%w*]', '%%%0'), '%*+', '.*') .. '$'
end

--- A function that says whether a name of a service is one of `globs`, and remembers what it said.
function auth.matcher(globs)
  local patterns, known = {}, {}
  for i, glob in ipairs(globs) do patterns[i] = pattern_of(glob) end
  return function(name)
    local said = known[name]
    if said ~= nil then return said end
    said = false
    for i = 1, #patterns do said = said or match(name, patterns[i]) ~= nil end
    known[name] = said
    return said
  end
end

return auth
