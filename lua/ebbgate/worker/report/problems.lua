--- What is wrong with this gateway now: counted every time, logged when it begins and when it ends, and kept in ebb_state, so
--- that every worker can report it and the worker that takes over can end it.
local keys = require 'ebbgate.core.keys'
local clock = require 'ebbgate.worker.clock'

local problems = {}
problems.__index = problems

--- Every kind there is; docs/reference/metrics.md says what each of them means.
problems.KINDS = {
  'certificate', 'disk', 'heartbeat', 'memory', 'missing_set', 'no_memory', 'no_meta', 'redis', 'rejected', 'replica',
  'subscribe', 'went_back',
}

local MOST = 200

--- `state`: ebb_state.
function problems.new(counters, state)
  -- `own` has what found no room in ebb_state.
  return setmetatable({ counters = counters, state = state, own = {} }, problems)
end

local function text_of(self, kind)
  return self.state:get(keys.state.problem(kind)) or self.own[kind]
end

--- The reason changes as often as it likes; the problem begins once.
function problems:raise(kind, detail)
  self.counters:sync_error(kind)
  self:keep(kind, detail)
end

--- As `raise`, for what is a state and no event: it is not counted.
function problems:keep(kind, detail)
  local reason = string.sub(string.gsub(tostring(detail), '%c', ' '), 1, MOST)
  local before = text_of(self, kind)
  local since = before and string.match(before, '^%d+') or string.format('%d', clock.wall())
  local text = since .. '|' .. reason
  if text == before then return end
  local kept = self.state:safe_set(keys.state.problem(kind), text)
  self.own[kind] = not kept and text or nil
  if not before then ngx.log(ngx.WARN, 'ebbgate: ', kind, ': ', reason) end
end

function problems:settle(kind)
  if not text_of(self, kind) then return end
  self.state:delete(keys.state.problem(kind))
  self.own[kind] = nil
  ngx.log(ngx.NOTICE, 'ebbgate: ', kind, ' is over')
end

--- True while it lasts.
function problems:has(kind) return text_of(self, kind) ~= nil end

--- Those of now by kind: list of {kind, reason, since (unix seconds)}.
function problems:list()
  local list = {}
  for _, kind in ipairs(problems.KINDS) do
    local text = text_of(self, kind)
    if text then
      local since, reason = string.match(text, '^(%d+)|(.*)$')
      list[#list + 1] = { kind = kind, reason = reason, since = tonumber(since) }
    end
  end
  return list
end

return problems
