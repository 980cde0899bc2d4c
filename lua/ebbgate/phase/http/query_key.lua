--- A key in the query of a request. Whatever is logged of the request later, by nginx as well, is read from the same bytes: so
--- the key is overwritten where it is, before anybody else looks.
local ffi = require 'ffi'
local base = require 'resty.core.base'

local query_key = {}

local C, get_request = ffi.C, base.get_request
local fill = ffi.fill
local EQUALS, AMPERSAND, PERCENT, MARK, X, SPACE = string.byte('=&%?x ', 1, 6)

local value, size = ffi.new('unsigned char *[1]'), base.get_size_ptr()
local message, lowcase = base.get_errmsg_ptr(), ffi.new('char[16]')

--- The longest key, and room for it.
local MOST = 256
local room = ffi.new('uint8_t[?]', MOST)
local other = ffi.new('uint8_t[?]', MOST)

--- Where nginx has a variable, and how long it is; nil if there is none.
local function place_of(r, name)
  local rc = C.ngx_http_lua_ffi_var_get(r, name, #name, lowcase, 0, value, size, message)
  if rc ~= 0 then return nil end
  return value[0], tonumber(size[0])
end

--- Where the query of a text like `/shop?a=b` or `GET /shop?a=b HTTP/2.0` begins, and how long it is at the most.
local function query_in(text, length)
  for i = 0, length - 1 do
    if text[i] == MARK then return text + i + 1, length - i - 1 end
  end
  return nil
end

local function lower(c) return c >= 65 and c <= 90 and c + 32 or c end

--- Whether the `length` bytes at `text` are `name`, whatever their case: so nginx finds arguments.
local function is_named(text, length, name)
  if length ~= #name then return false end
  for i = 0, length - 1 do
    if lower(text[i]) ~= string.byte(name, i + 1) then return false end
  end
  return true
end

local function digit(c)
  c = lower(c)
  if c >= 48 and c <= 57 then return c - 48 end
  return c >= 97 and c <= 102 and c - 87 or nil
end

--- Writes a value without its percent-encoding to `into`; its length, or nil if it is longer than any key.
local function decode(text, length, into)
  local count, i = 0, 0
  while i < length do
    local c = text[i]
    if c == PERCENT and i + 2 < length then
      local high, low = digit(text[i + 1]), digit(text[i + 2])
      if high and low then c, i = high * 16 + low, i + 2 end
    end
    if count == MOST then return nil end
    into[count], count, i = c, count + 1, i + 1
  end
  return count
end

local function same(a, b, length)
  for i = 0, length - 1 do
    if a[i] ~= b[i] then return false end
  end
  return true
end

--- Where the value ends that begins at `from`: in a request line the protocol follows the query.
local function value_end(text, from, finish)
  for i = from, finish - 1 do
    if text[i] == SPACE then return i end
  end
  return finish
end

--- Overwrites every value of the argument in the query at `text`, after `found` (or nil) has taken it.
local function hide(text, length, name, found)
  local start = 0
  while start < length do
    local finish, equals = start, nil
    while finish < length and text[finish] ~= AMPERSAND do
      if text[finish] == EQUALS and not equals then equals = finish end
      finish = finish + 1
    end
    if equals and is_named(text + start, equals - start, name) then
      local from = equals + 1
      local count = value_end(text, from, finish) - from
      if found then found:take(text + from, count) end
      fill(text + from, count, X)
    end
    start = finish + 1
  end
end

local keys = { count = 0, length = 0 }

--- Keeps the first value, and counts those that differ from it.
function keys:take(from, length)
  if length == 0 then return end
  local into = self.count == 0 and room or other
  local decoded = decode(from, length, into) or 0
  if self.count == 0 then
    self.count, self.length = 1, decoded
  elseif decoded ~= self.length or not same(room, other, decoded) then
    self.count = self.count + 1
  end
end

--- Hides what a text like `/shop?a=b` has of the argument.
local function hide_in(name, text, length)
  if not text then return end
  local query, rest = query_in(text, length)
  if query then hide(query, rest, name, nil) end
end

--- Takes the values of the argument `name` out of the current request: how many different ones there are; of the first where it
--- is, until the next call, and its length, 0 if no key can be so.
function query_key.take(name)
  keys.count, keys.length = 0, 0
  local r = get_request()
  local args, length = place_of(r, 'args')
  if not args then return 0 end
  hide(args, length, name, keys)
  if keys.count > 0 then
    -- Of HTTP/1 they are the same bytes, of HTTP/2 they are not.
    hide_in(name, place_of(r, 'request_uri'))
    hide_in(name, place_of(r, 'request'))
  end
  return keys.count, room, keys.length
end

return query_key
