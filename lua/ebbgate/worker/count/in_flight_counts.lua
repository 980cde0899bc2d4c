--- Reads what in_flight.lua counts: sums over the workers that live.
---
--- The order makes zero true. A request counts, then reads its set's generation. A reader that takes `applied` first and the
--- counters after it therefore sees every request that was picked by an older set: either it had counted by then, or it looks at
--- the generation later and follows the new set. `made` is read before the counters, for the same reason.
local keys = require 'ebbgate.core.keys'
local wire = require 'ebbgate.core.wire'
local pace = require 'ebbgate.worker.pace'
local process = require 'ebbgate.worker.process'

local in_flight_counts = {}
in_flight_counts.__index = in_flight_counts

--- Counters between two looks at the clock.
local STEP = 50

function in_flight_counts.new(dicts)
  return setmetatable(
    { inflight = dicts.inflight, state = dicts.state, made = nil, counters = {}, by_key = {} }, in_flight_counts
  )
end

--- The incarnations that live, as a set, their number, and the newest contract that all of them understand. Forgets the
--- dead ones.
local function living(self)
  local alive, count, newest = {}, 0, wire.CONTRACTS[#wire.CONTRACTS]
  for _, key in ipairs(self.state:get_keys(0)) do
    local incarnation = keys.state.worker_of(key)
    if incarnation and process.alive(incarnation) then
      alive[incarnation], count = true, count + 1
      -- Those of a release that knew only one contract are listed with `true`.
      newest = math.min(newest, tonumber(self.state:get(key)) or 1)
    elseif incarnation then
      self.state:delete(key)
      self.inflight:delete(keys.inflight.uncounted_of(incarnation))
    end
  end
  return alive, count, newest
end

--- The contracts that every living worker understands: old ones after a reload may be of another release.
local function understood(newest)
  local list = {}
  for _, version in ipairs(wire.CONTRACTS) do
    if version <= newest then list[#list + 1] = version end
  end
  return list
end

--- The list of counters, read again only when one was made: listing locks the dictionary for all workers.
local function refresh(self)
  local made = self.inflight:get(keys.inflight.made)
  if made and made == self.made then return end
  local known, counters = self.by_key, {}
  self.counters, self.made, self.by_key = counters, made, {}
  for _, key in ipairs(self.inflight:get_keys(0)) do
    -- Taking a key apart costs more than all else here.
    local counter = known[key]
    if not counter then
      local worker, name = keys.inflight.parse(key)
      counter = worker and { key = key, worker = worker, name = name }
    end
    if counter then counters[#counters + 1], self.by_key[key] = counter, counter end
  end
end

--- Without those that are no more.
local function drop(self, gone)
  local kept = {}
  for _, counter in ipairs(self.counters) do
    if not gone[counter] then kept[#kept + 1] = counter end
  end
  self.counters = kept
end

--- 'service|instance' → open requests. In slices: a zero that is read later is as true, because requests that begin after
--- `applied` was read follow the new set.
local function sum(self, alive)
  local counters, in_flight, gone, turn = self.counters, {}, nil, pace.new()
  for i = 1, #counters do
    if i % STEP == 0 then turn:rest() end
    local counter = counters[i]
    local count = alive[counter.worker] and self.inflight:get(counter.key)
    if count and count > 0 then
      in_flight[counter.name] = (in_flight[counter.name] or 0) + count
    elseif not count then
      gone = gone or {}
      gone[counter] = true
      if not alive[counter.worker] then self.inflight:delete(counter.key) end
    end
  end
  -- Another take may have listed again meanwhile: its list stays.
  if gone and self.counters == counters then drop(self, gone) end
  return in_flight
end

--- 1 while an old worker lives whose counters are in a dictionary of another size: then nothing is known.
local function blind(self)
  local list = self.state:get(keys.state.blind)
  for incarnation in string.gmatch(list or '', '%S+') do
    if process.alive(incarnation) then return 1 end
  end
  return 0
end

--- {in_flight = 'service|instance' → n > 0, uncounted, workers, contracts = list}. Yields.
function in_flight_counts:take()
  local alive, workers, newest = living(self)
  refresh(self)
  local in_flight = sum(self, alive)
  local uncounted = math.max(0, self.inflight:get(keys.inflight.uncounted) or 1) + blind(self)
  for incarnation in pairs(alive) do
    uncounted = uncounted + math.max(0, self.inflight:get(keys.inflight.uncounted_of(incarnation)) or 0)
  end
  return { in_flight = in_flight, uncounted = uncounted, workers = workers, contracts = understood(newest) }
end

return in_flight_counts
