--- Keeps a worker's upstreams in step with what all of them know of health: one number shows that something changed, and
--- only services that it changed for are built again. So are those whose time has come: the next step of a ramp, the end of an
--- ejection.
local keys = require 'ebbgate.core.keys'
local live = require 'ebbgate.worker.live'
local pace = require 'ebbgate.worker.pace'

local health_watch = {}
health_watch.__index = health_watch

function health_watch.new(dict)
  return setmetatable({ dict = dict, version = nil }, health_watch)
end

local function add_moved(self, list)
  local version = self.dict:get(keys.health.version)
  if version == self.version then return end
  self.version = version
  for _, entry in pairs(live.entries) do
    if entry.upstream and self.dict:get(entry.health_key) ~= entry.noted then list[#list + 1] = entry end
  end
end

--- Call it about ten times a second, in every worker. Yields between services.
function health_watch:tick(now)
  local list = {}
  add_moved(self, list)
  for entry, wake_at in pairs(live.waiting) do
    if wake_at <= now then
      list[#list + 1] = entry
      -- Should it not be built, then not again at once.
      live.waiting[entry] = now + 1
    end
  end
  local turn = pace.new()
  for _, entry in ipairs(list) do
    live.rebuild(entry)
    turn:rest()
  end
end

return health_watch
