--- The Connection header (RFC 9110, 7.6.1): the headers that it names end at this gateway.
local byte, lower, sub = string.byte, string.lower, string.sub
local tobit = require('bit').tobit
local guarded = require('ebbgate.core.header_names').GUARDED

local connection = {}

--- Values that name no header; almost every message has one of them or none.
local PLAIN = {}
for _, value in ipairs({ '', 'close', 'Close', 'keep-alive', 'Keep-Alive', 'upgrade', 'Upgrade' }) do PLAIN[value] = true end
local COMMA, SPACE, TAB, A, Z = byte(','), byte(' '), byte('\t'), byte('A'), byte('Z')

function connection.is_plain(value) return PLAIN[value] == true end

--- A number for a name whose letters are lower case. Two names may have one number; then their text decides.
local function number_of(name)
  local number = 0
  for i = 1, #name do number = tobit(number * 31 + byte(name, i)) end
  return number
end

--- Appends to `found` those names of `present` that `value` has as a token, and takes them out of `present`. A token is made a
--- text only where its number is that of a name: a header of thousands of tokens costs a walk over its bytes.
local function search(value, present, numbers, found)
  local first, number = 1, 0
  for i = 1, #value + 1 do
    local c = byte(value, i) or COMMA
    if c == COMMA or c == SPACE or c == TAB then
      local count = i > first and numbers[number]
      local name = count and count > 0 and lower(sub(value, first, i - 1))
      if name and present[name] then
        present[name], numbers[number] = nil, count - 1
        found[#found + 1] = name
      end
      first, number = i + 1, 0
    else
      if c >= A and c <= Z then c = c + 32 end
      number = tobit(number * 31 + c)
    end
  end
end

--- The names to strip: those of `present` (a set of names in lower case; it is used up) that the Connection lines `values`
--- name, but for guarded ones. A list, empty if there is none. Linear in what it is given.
function connection.nominated(values, present)
  local numbers, found = {}, {}
  for name in pairs(present) do
    if guarded[name] then
      present[name] = nil
    else
      local number = number_of(name)
      numbers[number] = (numbers[number] or 0) + 1
    end
  end
  for i = 1, #values do search(values[i], present, numbers, found) end
  return found
end

return connection
