--- Takes from a request's head what must not go on to the instance: headers that its Connection lines name, and headers whose
--- names two servers may read differently. nginx lets all names in (nginx/partials/client.hbs), so that they can be counted.
---
--- Every request pays for this, so the usual one makes no text: its names are looked at where nginx has them.
local ffi = require 'ffi'
local base = require 'resty.core.base'
local connection = require 'ebbgate.core.connection'
local header_names = require 'ebbgate.core.header_names'
local metrics = require 'ebbgate.core.metrics'
local live = require 'ebbgate.worker.live'

local request_head = {}

local ngx, http = ngx, live.http
local C, ffi_string, get_request = ffi.C, ffi.string, base.get_request
local clear_header = ngx.req.clear_header
--- Headers that may be taken from one request: nginx looks for each of them among all. One that has more is refused.
local MOST = 100
--- Names that a worker logs.
local LOGGED = 20
local C_, N_ = string.byte('c'), string.byte('n')

--- 1 for what is no letter, digit or hyphen. Names come in lower case.
local strange = ffi.new('uint8_t[256]')
for c = 0, 255 do strange[c] = string.find(string.char(c), '[a-z0-9-]') and 0 or 1 end

ffi.cdef 'int memcmp(const void *a, const void *b, size_t length);'
local truncated = ffi.new('int[1]')
local room, counted = 64, 0
local list = ffi.new('ngx_http_lua_ffi_table_elt_t[?]', room)

--- The head as nginx has it: how many headers are in `list`.
local function read_list(r)
  counted = 0
  local count = C.ngx_http_lua_ffi_req_get_headers_count(r, 0, truncated)
  if count <= 0 then return 0 end
  if count > room then
    room = count * 2
    list = ffi.new('ngx_http_lua_ffi_table_elt_t[?]', room)
  end
  if C.ngx_http_lua_ffi_req_get_headers(r, list, count, 0) ~= 0 then return 0 end
  counted = count
  return count
end

local function is_strange(data, length)
  for i = 0, length - 1 do
    if strange[data[i]] == 1 then return true end
  end
  return length == 0
end

local function is_connection(data, length)
  return length == 10 and data[0] == C_ and data[2] == N_ and data[9] == N_ and ffi_string(data, 10) == 'connection'
end

--- Logs a name, once in this worker.
local function log_once(name, reason)
  if http.dropped[name] or http.dropped_count >= LOGGED then return end
  http.dropped[name], http.dropped_count = true, http.dropped_count + 1
  ngx.log(ngx.WARN, 'ebbgate: a header named ', string.sub(name, 1, 100), ' was not passed on (',
    reason == 'lookalike' and 'it looks like one that the gateway sets' or 'see --header-names', ')')
end

--- Adds the names of headers that may not go on to `names`; `dropped` says how many of them there are for which reason. False
--- if one is no name.
local function add_strange(names, dropped, count)
  for i = 0, count - 1 do
    local key = list[i].key
    if is_strange(key.data, key.len) then
      local name = ffi_string(key.data, key.len)
      local reason = header_names.fault(name, live.header_names)
      if reason == 'invalid' then return false end
      if reason then
        dropped[reason] = (dropped[reason] or 0) + 1
        names[#names + 1] = name
        log_once(name, reason)
      end
    end
  end
  return true
end

--- Adds the names that the Connection lines name.
local function add_nominated(names, count)
  local values, present = {}, {}
  for i = 0, count - 1 do
    local key, value = list[i].key, list[i].value
    local name = ffi_string(key.data, key.len)
    if name == 'connection' then
      values[#values + 1] = ffi_string(value.data, value.len)
    else
      present[name] = true
    end
  end
  local nominated = connection.nominated(values, present)
  for i = 1, #nominated do names[#names + 1] = nominated[i] end
end

--- Cleans the head of the current request. True, or false if it must be refused as a bad request.
function request_head.clean()
  local count = read_list(get_request())
  local odd, hops = false, false
  for i = 0, count - 1 do
    local key = list[i].key
    local data, length = key.data, key.len
    if is_strange(data, length) then
      odd = true
    elseif is_connection(data, length) then
      local value = list[i].value
      hops = hops or not connection.is_plain(ffi_string(value.data, value.len))
    end
  end
  if not odd and not hops then return true end
  local names, dropped = {}, {}
  if hops then add_nominated(names, count) end
  if odd and not add_strange(names, dropped, count) or #names > MOST then return false end
  for i = 1, #names do clear_header(names[i]) end
  for reason, times in pairs(dropped) do live.counters:add(metrics.headers_dropped, times, reason) end
  return true
end

--- The next header called `name` (lower case) from place `i` on (0 = the first) in the head that `clean` looked at last: its
--- place, where its value is, and how long that is; nil if there is none.
function request_head.next(name, i)
  local size, first = #name, string.byte(name)
  while i < counted do
    local one = list[i]
    local key = one.key
    if key.len == size and key.data[0] == first and C.memcmp(key.data, name, size) == 0 then
      return i, one.value.data, one.value.len
    end
    i = i + 1
  end
  return nil
end

return request_head
