--- Rules for the members of a document that nobody trusts: each is a function that reads one, and gives its value and what is
--- wrong: false, true, or the name of an inner member. `given` nil = absent, which is wrong where there is no default.
local find, floor, gsub, match = string.find, math.floor, string.gsub, string.match

local rules = {}

--- True if `value` is a whole number from `low` to `high`: no NaN, no fraction, no null.
function rules.whole(value, low, high)
  return type(value) == 'number' and value >= low and value <= high and floor(value) == value
end

--- True if `value` is a table that came from a JSON array: keys 1 … n and no other.
function rules.is_array(value)
  if type(value) ~= 'table' then return false end
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  return count == #value
end

local whole, is_array = rules.whole, rules.is_array

function rules.number(low, high, default)
  return function(given)
    if given == nil then return default, default == nil end
    return given, not whole(given, low, high)
  end
end

function rules.flag(default)
  return function(given)
    if given == nil then return default, false end
    return given, type(given) ~= 'boolean'
  end
end

function rules.one_of(names, default)
  return function(given)
    if given == nil then return default, default == nil end
    return given, names[given] == nil
  end
end

--- Text of up to `most` bytes that `pattern` matches as a whole.
function rules.text(pattern, most, default)
  return function(given)
    if given == nil then return default, default == nil end
    return given, type(given) ~= 'string' or #given > most or not match(given, pattern)
  end
end

--- What a check looks for: up to 256 characters in UTF-8, no control characters (the C1 ones begin with the byte 194).
function rules.body(given)
  if given == nil then return '', false end
  if type(given) ~= 'string' or find(given, '%c') or find(given, '\194[\128-\159]') then return given, true end
  local _, characters = gsub(given, '[^\128-\191]', '')
  return given, characters > 256
end

--- An array of up to `most` values, each by `rule`.
function rules.list(rule, most, default)
  return function(given)
    if given == nil then return default, default == nil end
    if not is_array(given) or #given > most then return nil, true end
    for i = 1, #given do
      local _, wrong = rule(given[i])
      if wrong then return nil, true end
    end
    return given, false
  end
end

function rules.range(given)
  return given, not (is_array(given) and #given == 2 and whole(given[1], 100, 599) and whole(given[2], given[1], 599))
end

--- Reads the members of an object by their rules; members that have none are ignored. An `optional` one may be absent: nil.
function rules.object(members, optional)
  return function(given)
    if given == nil and optional then return nil, false end
    if type(given) ~= 'table' then return nil, true end
    local read = {}
    for name, rule in pairs(members) do
      local value, wrong = rule(given[name])
      if wrong then return nil, wrong == true and name or name .. '.' .. wrong end
      read[name] = value
    end
    return read, false
  end
end

--- An array of up to `most` objects, each by its rules; no two have the same `name`. `contradiction(read)` gives the member that
--- does not go with the others, or nil.
function rules.objects(members, most, contradiction)
  local rule = rules.object(members)
  return function(given)
    if given == nil then return {}, false end
    if not is_array(given) or #given > most then return nil, true end
    local read, seen = {}, {}
    for i = 1, #given do
      local one, wrong = rule(given[i])
      wrong = wrong or contradiction(one) or seen[one.name] and 'name'
      if wrong then return nil, (i - 1) .. (wrong == true and '' or '.' .. wrong) end
      read[i], seen[one.name] = one, true
    end
    return read, false
  end
end

return rules
