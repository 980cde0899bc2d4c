--- What a published document of keys says (`@keys:<xx>`, docs/contract/wire.md), checked member by member.
local network = require 'ebbgate.core.network'
local rules = require 'ebbgate.core.rules'

local find, floor = string.find, math.floor

local keys_document = {}

--- Whether a text is the name of a consumer.
function keys_document.is_consumer(name)
  return type(name) == 'string' and #name <= 63 and find(name, '^%w[%w._@+-]*$') ~= nil
end

local function is_glob(given) return given, type(given) ~= 'string' or #given > 128 or not find(given, '^[%w._*-]+$') end
local function is_network(given) return given, type(given) ~= 'string' or network.parse(given) == nil end
local services, networks = rules.list(is_glob, 64, {}), rules.list(is_network, 64, {})

local function read_consumer(given)
  if type(given) ~= 'table' or not keys_document.is_consumer(given.name) then return nil, 'name' end
  local of, wrong = services(given.services)
  -- An empty list would be read as all of them.
  if wrong or given.services ~= nil and #of == 0 then return nil, 'services' end
  local from, other = networks(given.networks)
  if other or given.networks ~= nil and #from == 0 then return nil, 'networks' end
  return { name = given.name, services = of, networks = from }
end

--- A document's members, checked; or nil and what is wrong. `beginning`: of the hashes that may be in it.
function keys_document.read(document, beginning)
  if not rules.is_array(document.consumers) then return nil, 'consumers is not an array' end
  if not rules.is_array(document.keys) then return nil, 'keys is not an array' end
  local consumers, keys, seen = {}, {}, {}
  for i, given in ipairs(document.consumers) do
    local consumer, wrong = read_consumer(given)
    if not consumer then return nil, 'consumers[' .. (i - 1) .. '].' .. wrong end
    consumers[i] = consumer
  end
  for i, given in ipairs(document.keys) do
    local at = 'keys[' .. (i - 1) .. ']'
    if type(given) ~= 'table' then return nil, at .. ' is not an object' end
    local hash = given.hash
    if type(hash) ~= 'string' or #hash ~= 64 or find(hash, '[^0-9a-f]') or hash:sub(1, 2) ~= beginning then
      return nil, at .. '.hash'
    end
    if seen[hash] then return nil, at .. '.hash is there twice' end
    if type(given.id) ~= 'string' or #given.id ~= 12 or find(given.id, '[^0-9a-f]') then return nil, at .. '.id' end
    if not rules.whole(given.consumer, 0, #consumers - 1) then return nil, at .. '.consumer' end
    local expires = given.expires
    if expires ~= nil and not (type(expires) == 'number' and expires >= 0 and floor(expires) == expires) then
      return nil, at .. '.expires'
    end
    seen[hash] = true
    keys[i] = { hash = hash, id = given.id, consumer = given.consumer, expires = expires }
  end
  return { consumers = consumers, keys = keys }
end

return keys_document
