--- A gateway that has left the roster and starts again must be known once more before it serves what its disk had: drains that
--- are proven meanwhile do not ask it. The mark is a file beside the sets; nginx/leave.sh makes it when the gateway has left, and
--- takes it away when the control API has taken the gateway back.
local keys = require 'ebbgate.core.keys'

local departure = {}

function departure.file(state_dir) return state_dir .. '/left' end

--- True while this gateway has to be known first.
function departure.is_marked(state) return state:get(keys.state.left) == true end

--- Redis knows of this gateway: it is asked from now on.
function departure.known(state, state_dir)
  os.remove(departure.file(state_dir))
  state:delete(keys.state.left)
end

--- Looks whether the mark was removed (by nginx/leave.sh) because the control API knows this gateway. True if it may serve.
function departure.look(state, state_dir)
  local file = io.open(departure.file(state_dir), 'rb')
  if file then
    file:close()
    return false
  end
  state:delete(keys.state.left)
  return true
end

return departure
