--- Small helpers to write JSON in a fixed order of keys, which a table cannot promise, and `[]` for an empty list, which
--- the encoder cannot. `quote` is the JSON encoder, an argument.
local concat, sort = table.concat, table.sort

local json_text = {}

--- The members of `map` in the order of their keys, each as `write(key, value)` gives it, joined by commas.
function json_text.members(map, write)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  sort(names)
  for i, name in ipairs(names) do names[i] = write(name, map[name]) end
  return concat(names, ',')
end

return json_text
