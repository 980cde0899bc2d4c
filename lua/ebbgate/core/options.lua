--- Checks the options that nginx.conf gives to init: one error that names the option and what it may be.
local match = string.match

local options = {}

local function text(pattern, hint, may_be_empty)
  return function(value)
    return type(value) == 'string' and (match(value, pattern) ~= nil or (may_be_empty and value == '')), hint
  end
end

local function whole(low, high)
  return function(value)
    local fits = type(value) == 'number' and value >= low and value <= high and value == math.floor(value)
    return fits, 'a whole number from ' .. low .. ' to ' .. high
  end
end

local function flag()
  return function(value) return type(value) == 'boolean', 'true or false' end
end

local function one_of(names)
  return function(value)
    for _, name in ipairs(names) do
      if value == name then return true end
    end
    return false, 'one of ' .. table.concat(names, ', ')
  end
end

local RULES = {
  gateway_id = { text('^[A-Za-z0-9][A-Za-z0-9._-]*$', '1 to 63 of A-Z a-z 0-9 . _ -, starting with a letter or digit') },
  redis = { text('^rediss?[+a-z]*://[^%c%s]+$', 'a Redis URL') },
  redis_replica = { text('^rediss?://[^%c%s]+$', 'the Redis URL of one server, or ""', true), '' },
  redis_password_env = { text('^[A-Za-z_][A-Za-z0-9_]*$', 'the name of an environment variable'), 'EBBGATE_REDIS_PASSWORD' },
  redis_sentinel_password_env = {
    text('^[A-Za-z_][A-Za-z0-9_]*$', 'the name of an environment variable'), 'EBBGATE_REDIS_SENTINEL_PASSWORD',
  },
  state_dir = { text('^/[^%c]*$', 'an absolute path') },
  start_from_disk = { text('^[a-z-]+$', 'always or unless-left'), 'always' },
  sticky_key_file = { text('^[^%c]*$', 'an absolute path, or ""'), '' },
  start_wait_ms = { whole(0, 60000), 1000 },
  poll_ms = { whole(100, 60000), 2000 },
  heartbeat_ms = { whole(100, 2000), 1000 },
  max_tries = { whole(1, 5), 5 },
  access_log = { flag(), true },
  -- How long nginx waits for a client to take more of an answer, and how long the head of an instance's answer may be.
  client_send_ms = { whole(1, 86400000), 60000 },
  head_bytes = { whole(1024, 1048576), 16384 },
  limits_bytes = { whole(65536, 2 ^ 40), 33554432 },
  log_texts = { text('^[a-z0-9_= ]*$', 'pairs VARIABLE=SOURCE with a space between them'), '' },
  header_names = { one_of({ 'plain', 'underscores', 'any' }), 'plain' },
  tls_profiles = { text('^[a-z0-9_ ]*$', 'names of a-z 0-9 _ with a space between them'), '' },
  certificates = { text('^[^%c]*$', 'an absolute path, or ""'), '' },
  zone = { text('^[A-Za-z0-9._-]*$', 'a name of A-Z a-z 0-9 . _ -, or ""'), '' },
  version = { text('^[^%c%s]+$', 'a version'), '0' },
}

--- `given` with defaults filled in; or nil and the reason.
function options.check(given)
  if type(given) ~= 'table' then return nil, 'init wants a table of options' end
  for name in pairs(given) do
    if not RULES[name] then return nil, 'the option ' .. tostring(name) .. ' is not known' end
  end
  local checked = {}
  for name, rule in pairs(RULES) do
    local value = given[name]
    if value == nil then value = rule[2] end
    local fits, hint = rule[1](value)
    if not fits then return nil, 'the option ' .. name .. ' must be ' .. hint .. '; it is ' .. tostring(value) end
    checked[name] = value
  end
  if checked.start_from_disk ~= 'always' and checked.start_from_disk ~= 'unless-left' then
    return nil, 'the option start_from_disk must be always or unless-left; it is ' .. checked.start_from_disk
  end
  if #checked.gateway_id > 63 then return nil, 'the option gateway_id must be at most 63 characters long' end
  return checked
end

return options
