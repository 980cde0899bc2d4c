--- What is done with a request while nobody of its service may be asked: its breaker is open, or it has no instance.
local metrics = require 'ebbgate.core.metrics'
local admit = require 'ebbgate.phase.http.admit'
local live = require 'ebbgate.worker.live'

local instead = {}

local function count(entry, code, result)
  if code == 'breaker_open' then live.counters:add(metrics.breaker_requests, 1, entry.service, result) end
end

--- Another service answers, if the set names one that takes the request: by its own limits, its own breaker and its own drains.
--- What that one would do instead is not asked for, so there is no way round in a circle. Else there may be a text. Gives what
--- phase/http/access.lua needs: entry, upstream, code, about, wait, turn.
function instead.of(entry, upstream, code, about, var)
  local given = upstream.instead
  if given and given.service and given.service ~= entry.service then
    local other = live.entry(given.service)
    local its = live.upstream(other)
    local refused, _, wait, turn = admit.refusal(its, var, true)
    if not refused then
      count(entry, code, 'fallback')
      return other, its, nil, nil, wait, turn
    end
  end
  if given and given.answer then
    count(entry, code, 'answered')
    return entry, upstream, code, { answer = given.answer }
  end
  count(entry, code, 'refused')
  return entry, upstream, code, about
end

return instead
