--- Addresses as bytes, as nginx has them in $binary_remote_addr, and the networks they are in.
local bit = require 'bit'
local address = require 'ebbgate.core.address'

local byte, char, find, floor, gmatch, match, sub = string.byte, string.char, string.find, math.floor, string.gmatch,
  string.match, string.sub
local band, lshift = bit.band, bit.lshift

local network = {}

--- What begins an IPv4 address on a socket of IPv6.
local MAPPED = string.rep('\0', 10) .. '\255\255'

local function ipv4_bytes(host)
  local a, b, c, d = match(host, '^(%d+)%.(%d+)%.(%d+)%.(%d+)$')
  return char(tonumber(a), tonumber(b), tonumber(c), tonumber(d))
end

local function group_bytes(side)
  local bytes = ''
  for group in gmatch(side, '[^:]+') do
    if find(group, '.', 1, true) then
      bytes = bytes .. ipv4_bytes(group)
    else
      local value = tonumber(group, 16)
      bytes = bytes .. char(floor(value / 256), value % 256)
    end
  end
  return bytes
end

--- The bytes of an IP literal (address.family): 4, or 16.
local function bytes_of(host)
  if not find(host, ':', 1, true) then return ipv4_bytes(host) end
  local gap = find(host, '::', 1, true)
  if not gap then return group_bytes(host) end
  local left, right = group_bytes(sub(host, 1, gap - 1)), group_bytes(sub(host, gap + 2))
  return left .. string.rep('\0', 16 - #left - #right) .. right
end

--- A client's address without the 12 bytes that make an IPv4 address one of IPv6.
function network.plain(bytes)
  if #bytes == 16 and sub(bytes, 1, 12) == MAPPED then return sub(bytes, 13) end
  return bytes
end

--- The first `bits` of an address.
function network.cut(bytes, bits)
  local whole, rest = floor(bits / 8), bits % 8
  if rest == 0 then return whole >= #bytes and bytes or sub(bytes, 1, whole) end
  return sub(bytes, 1, whole) .. char(band(byte(bytes, whole + 1), lshift(0xff, 8 - rest)))
end

--- {bytes, bits, size} of a text like 10.0.0.0/8 or fd00::/8; an address alone is a network of one. Nil if it is none.
function network.parse(text)
  local host, bits = match(text, '^([^/]+)/(%d+)$')
  host = host or text
  local family = address.family(host)
  if not family then return nil end
  local size = family == 4 and 4 or 16
  bits = tonumber(bits or size * 8)
  if bits > size * 8 then return nil end
  return { bytes = network.cut(bytes_of(host), bits), bits = bits, size = size }
end

--- Whether an address (`plain`) is in one of the networks.
function network.contains(list, bytes)
  for i = 1, #list do
    local one = list[i]
    if one.size == #bytes and network.cut(bytes, one.bits) == one.bytes then return true end
  end
  return false
end

return network
