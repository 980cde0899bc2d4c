--- The document in force under a name, for whoever keeps what was made of the one before.
local keys = require 'ebbgate.core.keys'
local wire = require 'ebbgate.core.wire'

--- Sets may move under a look; after this many moves something else is wrong.
local MAX_MOVES = 5

--- The document under `name` in the dictionary `sets` if it differs from the one of `stamp`: document, its stamp. Nil, stamp when
--- it does not; nil, nil when there is none; nil, its stamp or nil, reason when it cannot be read. `tools`: for wire.decode.
return function(sets, tools, name, stamp_key, stamp)
  for _ = 1, MAX_MOVES do
    local now = sets:get(stamp_key)
    if now == stamp or now == nil then return nil, now end
    local payload = sets:get(keys.sets.document(name, now))
    if payload then
      local document, code, detail = wire.decode(name, payload, tools)
      if document then return document, now end
      return nil, now, code .. ': ' .. detail
    end
    -- Replaced between the two reads: look again.
  end
  return nil, nil, 'it changed at every look'
end
