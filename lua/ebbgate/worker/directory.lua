--- What is in a folder: Lua itself cannot say.
local ffi = require 'ffi'

pcall(ffi.cdef, [[
  typedef struct { uint64_t ino; int64_t off; unsigned short reclen; unsigned char type; char name[256]; } ebbgate_dirent;
  void *opendir(const char *name);
  ebbgate_dirent *readdir(void *dir);
  int closedir(void *dir);
]])

local directory = {}

--- The names in the folder `path` but those that begin with a dot, sorted; or nil if it cannot be read.
function directory.names(path)
  local dir = ffi.C.opendir(path)
  if dir == nil then return nil end
  local names = {}
  local entry = ffi.C.readdir(dir)
  while entry ~= nil do
    local name = ffi.string(entry.name)
    if string.byte(name) ~= 46 then names[#names + 1] = name end
    entry = ffi.C.readdir(dir)
  end
  ffi.C.closedir(dir)
  table.sort(names)
  return names
end

return directory
