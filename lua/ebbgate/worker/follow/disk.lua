--- The sets on disk: one file per service, so that a gateway that starts without Redis serves what it last acked.
---
--- A file is `ebbgate-set 2 <epoch> <generation> <hash> <check>`, a line feed, and the payload. It is written beside and
--- renamed, so it is whole or absent. No fsync: it survives a crash of nginx; after a power cut the hash shows what is damaged.
--- The check is over the first line: a position that was damaged upwards would shut out every newer set for ever.
local ffi = require 'ffi'
local position = require 'ebbgate.core.position'
local wire = require 'ebbgate.core.wire'
local directory = require 'ebbgate.worker.directory'

pcall(ffi.cdef, 'int mkdir(const char *path, unsigned int mode);')
pcall(ffi.cdef, 'unsigned int umask(unsigned int mask);')

local disk = {}
disk.__index = disk

local HEADER = '^(ebbgate%-set 2 (%d+) (%d+) (%x+)) (%x+)$'
--- rwx------ and what it leaves out: whoever can write these files steers traffic. nginx itself runs with umask 0.
local OWNER_ONLY, OTHERS = 448, 63

function disk.new(state_dir)
  return setmetatable({ dir = state_dir .. '/sets' }, disk)
end

--- Makes the folder, with its parent; an error shows at the first write.
function disk:prepare()
  ffi.C.mkdir((self.dir:gsub('/sets$', '')), OWNER_ONLY)
  ffi.C.mkdir(self.dir, OWNER_ONLY)
end

local function file_of(self, name)
  return self.dir .. '/' .. name .. '.set'
end

--- True, or nil and why.
function disk:write(name, publication)
  local file_name = file_of(self, name)
  local temporary = self.dir .. '/.' .. name .. '.' .. ngx.worker.pid() .. '.tmp'
  local umask = ffi.C.umask(OTHERS)
  local file, err = io.open(temporary, 'wb')
  ffi.C.umask(umask)
  if not file then return nil, err end
  local header = table.concat({
    'ebbgate-set 2', position.text(publication.epoch), position.text(publication.generation), publication.hash,
  }, ' ')
  local wrote, why = file:write(header, ' ', ngx.md5(header), '\n', publication.payload)
  local closed, close_err = file:close()
  if wrote and closed then
    local renamed, rename_err = os.rename(temporary, file_name)
    if renamed then return true end
    why = rename_err
  end
  os.remove(temporary)
  return nil, why or close_err or 'the file cannot be written'
end

--- Whether a file can be written now, tried with one that is removed again. True, or nil and why.
function disk:try()
  local name = self.dir .. '/.try.' .. ngx.worker.pid() .. '.tmp'
  local file, err = io.open(name, 'wb')
  if not file then return nil, err end
  local wrote, why = file:write('x')
  local closed, close_err = file:close()
  os.remove(name)
  if wrote and closed then return true end
  return nil, why or close_err or 'the file cannot be written'
end

--- True, also when there is no such file; or nil and why.
function disk:remove(name)
  local file_name = file_of(self, name)
  local removed, err, code = os.remove(file_name)
  if removed or code == 2 then return true end
  return nil, err
end

local function names_on(self)
  local names = {}
  for _, file_name in ipairs(directory.names(self.dir) or {}) do
    local name = string.match(file_name, '^(.*)%.set$')
    if name and wire.is_name(name) then names[#names + 1] = name end
  end
  return names
end

--- The publication in the file of `name`, and its document; or nil and why it cannot be trusted.
local function read(self, name, tools)
  local file, err = io.open(file_of(self, name), 'rb')
  if not file then return nil, err end
  local header, payload = file:read('*l'), file:read('*a')
  file:close()
  local text, epoch_text, generation_text, hash, check = string.match(header or '', HEADER)
  local epoch, generation = position.whole(epoch_text), position.whole(generation_text)
  if not epoch or not generation then return nil, 'its first line is not that of a set' end
  if ngx.md5(text) ~= check then return nil, 'its first line is damaged' end
  local document, code, detail = wire.decode(name, payload, tools, hash)
  if not document then return nil, code .. ': ' .. detail end
  return { epoch = epoch, generation = generation, hash = hash, payload = payload }, document
end

--- Calls `take(name, publication, document)` for every file that is whole, `skip(name, why)` for every other one.
function disk:load(tools, take, skip)
  for _, name in ipairs(names_on(self)) do
    local publication, document = read(self, name, tools)
    if publication then take(name, publication, document) else skip(name, document) end
  end
end

return disk
