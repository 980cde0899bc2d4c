--- What Redis has of one set, and its own position, as the answers to HMGET say it (docs/contract/wire.md).
local position = require 'ebbgate.core.position'

local publication = {}

--- The answer of lua/redis/follow.lua → {epoch, generation, sealed, whole, names, at = name → generation}; false if there is no
--- meta; nil and why if it cannot be read.
function publication.read_missed(answer)
  if type(answer) ~= 'table' then return nil, 'follow.lua gave no list' end
  if #answer == 0 then return false end
  local found = {
    epoch = position.whole(answer[1]), generation = position.whole(answer[2]),
    sealed = answer[3] == '1', whole = answer[4] == '1', names = {}, at = {},
  }
  if not found.epoch or not found.generation then return nil, 'meta is not readable' end
  for i = 5, #answer, 2 do
    found.names[#found.names + 1] = answer[i]
    found.at[answer[i]] = position.whole(answer[i + 1]) or 0
  end
  return found
end

--- The answer to `HMGET set epoch generation hash [payload]` → {epoch, generation, hash, payload}, or nil and 'missing' |
--- 'damaged'. `null` is what the client gives for a field that is not there.
function publication.read(reply, null)
  if type(reply) ~= 'table' or reply[1] == false then return nil, 'damaged' end
  if reply[1] == null and reply[2] == null and reply[3] == null then return nil, 'missing' end
  local found = {
    epoch = position.whole(reply[1]), generation = position.whole(reply[2]),
    hash = reply[3] ~= null and reply[3] or nil, payload = reply[4] ~= null and reply[4] or nil,
  }
  if not found.epoch or not found.generation or not found.hash then return nil, 'damaged' end
  return found
end

--- The answer to `HMGET meta epoch generation sealed` → {epoch, generation, sealed}; nil if there is no meta, or none that can
--- be read.
function publication.read_point(reply)
  if type(reply) ~= 'table' then return nil end
  local epoch, generation = position.whole(reply[1]), position.whole(reply[2])
  return epoch and generation and { epoch = epoch, generation = generation, sealed = reply[3] == '1' }
end

return publication
