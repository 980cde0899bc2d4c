--- Reads a Redis URL by the grammar that the controller has too: docs/contract/redis_urls.json has what both take and refuse.
local address = require 'ebbgate.core.address'
local utf8 = require 'ebbgate.core.utf8'
local find, gmatch, gsub, match, sub = string.find, string.gmatch, string.gsub, string.match, string.sub

local redis_url = {}

local MOST_NODES = 16
local SYSTEM_CA = '/etc/ssl/certs/ca-certificates.crt'
local FORM = 'redis://[[user]:password@]host[:port][/database], redis+sentinel://...host[:port],.../name[/database] or '
  .. 'redis+cluster://...host[:port],..., with rediss for TLS'
local KINDS = { [''] = 'single', ['+sentinel'] = 'sentinel', ['+cluster'] = 'cluster' }
local TLS_MEMBERS = { ca = true, server_name = true, cert = true, key = true }
local SENTINEL_MEMBERS = { sentinel_user = true, sentinel_password = true }

--- The text without its percent-encoding; nil if that is broken.
local function decode(text)
  if find(gsub(text, '%%%x%x', ''), '%', 1, true) then return nil end
  local decoded = gsub(text, '%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end)
  if utf8.clean(decoded) ~= decoded then return nil end
  return decoded
end

--- A whole number from `low` to `high` in at most 15 digits, or nil.
local function whole(text, low, high)
  if not match(text, '^%d+$') or #text > 15 then return nil end
  local value = tonumber(text)
  return value >= low and value <= high and value or nil
end

--- A name that ends in a number is an address that was written wrong.
local function is_name(text)
  if #text == 0 or #text > 253 or match(text, '^%d+$') or match(text, '%.%d+$') then return false end
  for label in gmatch(text .. '.', '([^.]*)%.') do
    if not match(label, '^%w[%w_-]*$') or not match(label, '%w$') then return false end
  end
  return true
end

local function parse_host(text)
  local inner = match(text, '^%[([^%]]*)%]$')
  if inner then return address.family(inner) == 6 and inner or nil end
  return (is_name(text) or address.family(text) == 4) and text or nil
end

local function parse_nodes(text, kind)
  local nodes = {}
  for part in gmatch(text .. ',', '([^,]*),') do
    local host, rest = match(part, '^(%[[^%]]*%])(.*)$')
    if not host then host, rest = match(part, '^([^:]*)(.*)$') end
    host = (rest == '' or sub(rest, 1, 1) == ':') and parse_host(host)
    if not host then
      return nil, 'a host of the Redis URL must be a host name or an IP address: ' .. FORM
    end
    local port = rest == '' and (kind == 'sentinel' and 26379 or 6379) or whole(sub(rest, 2), 1, 65535)
    if not port then
      return nil, "the Redis URL's port must be a whole number from 1 to 65535: " .. FORM
    end
    nodes[#nodes + 1] = { host = host, port = port }
  end
  if kind == 'single' and #nodes > 1 then
    return nil, 'the Redis URL has several hosts: write redis+sentinel:// or redis+cluster:// for what they are'
  end
  if #nodes > MOST_NODES then return nil, 'the Redis URL has more than ' .. MOST_NODES .. ' hosts' end
  return nodes
end

--- Writes name and database into `found`; or returns why not.
local function parse_path(found, text)
  local database = text
  if found.kind == 'sentinel' then
    local name, rest = match(text, '^([^/]*)/?(.*)$')
    if not match(name, '^[%w._-]+$') or #name > 64 then
      return "the Redis URL needs the master's name behind the sentinels, of A-Z a-z 0-9 . _ -: " .. FORM
    end
    found.name, database = name, rest
  end
  found.database = database == '' and 0 or whole(database, 0, 1000000)
  if not found.database then return "the Redis URL's database must be a whole number from 0 to 1000000: " .. FORM end
  if found.kind == 'cluster' and found.database ~= 0 then return "the Redis URL's database must be 0 on Redis Cluster" end
end

local function parse_credentials(found, text)
  if not text then return end
  local username, password = match(text, '^([^:]*):(.*)$')
  username, password = decode(username or text), password and decode(password)
  if not username or (password == nil and find(text, ':', 1, true)) then
    return "the Redis URL's user and password must be percent-encoded: write % as %25"
  end
  if password == '' or (username == '' and not password) then
    return 'the Redis URL has an empty password; leave out the colon, or everything up to the @'
  end
  found.username, found.password = username ~= '' and username or nil, password
end

--- The members behind the question mark by name; or nil and why not.
local function parse_members(query, is_tls, is_sentinel)
  local members = {}
  if not query then return members end
  for part in gmatch(query .. '&', '([^&]*)&') do
    local name, raw = match(part, '^([^=]*)=?(.*)$')
    if not (TLS_MEMBERS[name] or SENTINEL_MEMBERS[name]) or members[name] then
      return nil, 'the Redis URL must look like ' .. FORM
        .. '; behind the ? may be ca, server_name, cert, key, sentinel_user, sentinel_password, each once'
    end
    if TLS_MEMBERS[name] and not is_tls then return nil, 'the Redis URL has ' .. name .. ' without TLS: write rediss' end
    if SENTINEL_MEMBERS[name] and not is_sentinel then
      return nil, 'the Redis URL has ' .. name .. ' without sentinels: write redis+sentinel'
    end
    local value = decode(raw)
    if not value or value == '' then
      return nil, "the Redis URL's " .. name .. ' must not be empty, and must be percent-encoded'
    end
    members[name] = value
  end
  return members
end

local function is_path(text) return match(text, '^/[%w._/@+=,:-]+$') ~= nil and #text <= 255 end

local function parse_tls(members, nodes)
  local ca, cert, key, server_name = members.ca or SYSTEM_CA, members.cert, members.key, members.server_name
  if not is_path(ca) or (cert and not is_path(cert)) or (key and not is_path(key)) then
    return nil, "the Redis URL's ca, cert and key must be absolute paths of A-Z a-z 0-9 . _ / @ + = , : -"
  end
  if (cert == nil) ~= (key == nil) then return nil, 'the Redis URL needs both cert and key, or neither' end
  for _, node in ipairs(nodes) do
    if not server_name and address.family(node.host) then
      return nil, "the Redis URL needs server_name, the DNS name of the servers' certificates, because a host is an IP address"
    end
  end
  if server_name and not is_name(server_name) then return nil, "the Redis URL's server_name must be a DNS name" end
  return { ca = ca, server_name = server_name, client = cert and { cert = cert, key = key } or nil }
end

--- {kind = 'single' | 'sentinel' | 'cluster', nodes = {{host, port}}, username, password, database, name (of the master),
--- sentinel = {username, password}, tls = {ca, server_name, client = {cert, key}}}; what the URL lacks is nil. Or nil and
--- one sentence that never repeats a password.
function redis_url.parse(url)
  local scheme, plus, rest = match(url, '^(rediss?)([+a-z]*)://([\33-\126]*)$')
  local kind = scheme and KINDS[plus]
  local before, query = match(rest or '', '^([^?#]*)%??([^#]*)$')
  local authority, path = match(before or '', '^([^/]*)/?(.*)$')
  if not kind or not before or find(rest, '#', 1, true) then
    return nil, 'the Redis URL must look like ' .. FORM .. '; write / ? # @ : in a password percent-encoded'
  end
  if not find(rest, '?', 1, true) then query = nil end
  local credentials, hosts = match(authority, '^(.*)@([^@]*)$')
  local nodes, bad_nodes = parse_nodes(hosts or authority, kind)
  if not nodes then return nil, bad_nodes end
  local found = { kind = kind, nodes = nodes }
  local bad_part = parse_credentials(found, credentials) or parse_path(found, path)
  if bad_part then return nil, bad_part end
  local members, refused = parse_members(query, scheme == 'rediss', kind == 'sentinel')
  if not members then return nil, refused end
  found.sentinel = { username = members.sentinel_user, password = members.sentinel_password }
  if scheme == 'rediss' then
    local tls, bad_tls = parse_tls(members, nodes)
    if not tls then return nil, bad_tls end
    found.tls = tls
  end
  return found
end

--- Fills in passwords that the URL lacks ('' or nil: there is none). `found`, or nil and which user has no password.
function redis_url.with_passwords(found, password, sentinel_password)
  for _, pair in ipairs({ { found, password, 'user', 'password' },
    { found.sentinel, sentinel_password, 'sentinel_user', 'sentinel_password' } }) do
    local login, given = pair[1], pair[2]
    if not login.password and given ~= '' then login.password = given end
    if login.username and not login.password then
      return nil, 'the Redis URL has a ' .. pair[3] .. ' but no ' .. pair[4]
    end
  end
  return found
end

return redis_url
