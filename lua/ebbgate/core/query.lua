--- The arguments of a request's query, as routes read them (control-plane/src/plan/routes/target.ts does the same).
local char, find, gsub, sub = string.char, string.find, string.gsub, string.sub

local query = {}

local function byte_of(digits) return char(tonumber(digits, 16)) end

--- Decodes `+` and `%20`; a `%` that no two digits follow stays.
local function decode(text)
  if not find(text, '[+%%]') then return text end
  return (gsub(gsub(text, '+', ' '), '%%(%x%x)', byte_of))
end

--- The value of the first argument called `name`, decoded; nil if there is none. `text`: the query as it was sent, or nil.
function query.first(text, name)
  local at, size = 1, text and #text or 0
  while at <= size do
    local stop = find(text, '&', at, true) or size + 1
    if stop > at then
      local sign = find(text, '=', at, true)
      local last = sign and sign < stop and sign - 1 or stop - 1
      if decode(sub(text, at, last)) == name then return decode(sub(text, last + 2, stop - 1)) end
    end
    at = stop + 1
  end
  return nil
end

return query
