--- The certificates that clients are shown, by the name that they ask for (SNI): those of one folder. They are read before the
--- fork; then each worker looks at the files again and again, so that a renewed one is in force without a reload.
---
--- A pair is `NAME.pem` or `NAME.crt` beside `NAME.key`, or the folder `NAME` with `fullchain.pem` and `privkey.pem`. What
--- `NAME` is does not matter. One that cannot be used any more changes nothing: what was read last is in force until its files
--- are gone.
local directory = require 'ebbgate.worker.directory'

local certificates = {}
certificates.__index = certificates

--- So many pairs are read in one look: a file that is open keeps requests waiting.
local AT_ONCE = 64
--- A certificate that ends within these seconds is a problem.
local SOON = 14 * 86400
local LONGEST = 262144

--- `read(chain, key, now)`: certificate.read.
function certificates.new(path, read)
  return setmetatable({ path = path, read = read, pairs = {}, order = {}, next = 1, by_name = {} }, certificates)
end

local function content(file_name)
  local file, err = io.open(file_name, 'rb')
  if not file then return nil, err end
  local text = file:read(LONGEST)
  file:close()
  if not text then return nil, file_name .. ': it is empty, or no file' end
  return text
end

--- Pair → the names of its two files.
local function files_in(path)
  local names = directory.names(path)
  if not names then return nil, path .. ' cannot be read' end
  local found = {}
  for _, name in ipairs(names) do
    local stem = string.match(name, '^(.+)%.pem$') or string.match(name, '^(.+)%.crt$')
    if stem then
      found[stem] = { path .. '/' .. name, path .. '/' .. stem .. '.key' }
    else
      local folder = path .. '/' .. name
      local chain = io.open(folder .. '/fullchain.pem', 'rb')
      if chain then
        chain:close()
        found[name] = { folder .. '/fullchain.pem', folder .. '/privkey.pem' }
      end
    end
  end
  return found
end

--- Which pair is shown for each name: of several the one that ends last.
local function index(self)
  local by_name = {}
  for _, pair in pairs(self.pairs) do
    local own = pair.certificate
    for _, name in ipairs(own and own.names or {}) do
      local other = by_name[name]
      if not other or own.ends > other.ends then by_name[name] = own end
    end
  end
  self.by_name = by_name
end

--- Reads a pair again if its files are others. True if what is shown may be another one then.
local function refresh(self, stem, files, now)
  local pair = self.pairs[stem] or {}
  self.pairs[stem] = pair
  local chain, why = content(files[1])
  local key, key_why = content(files[2])
  if not chain or not key then
    pair.fault = why or key_why
    return false
  end
  if pair.chain == chain and pair.key == key then
    -- Between two reads one of the files may have been away.
    pair.fault = pair.refused
    return false
  end
  pair.chain, pair.key = chain, key
  local read, refused = self.read(chain, key, now)
  pair.refused = refused and files[1] .. ': ' .. refused or nil
  pair.fault = pair.refused
  if not read then return false end
  pair.certificate = read
  return true
end

--- Looks at the next files; all of them if `whole`. `now`: the wall clock.
function certificates:look(now, whole)
  local files, why = files_in(self.path)
  self.unreadable = why
  if not files then return end
  local changed = false
  for stem in pairs(self.pairs) do
    if not files[stem] then self.pairs[stem], changed = nil, true end
  end
  local stems = {}
  for stem in pairs(files) do stems[#stems + 1] = stem end
  table.sort(stems)
  for _ = 1, whole and #stems or math.min(AT_ONCE, #stems) do
    if self.next > #stems then self.next = 1 end
    local stem = stems[self.next]
    self.next = self.next + 1
    if refresh(self, stem, files[stem], now) then changed = true end
  end
  if changed then index(self) end
end

--- What to show to a client that asks for `name`; nil if no certificate is for it.
function certificates:find(name)
  local asked = string.lower(name)
  local found = self.by_name[asked]
  if found then return found end
  local dot = string.find(asked, '.', 1, true)
  return dot and self.by_name['*' .. string.sub(asked, dot)] or nil
end

--- What is wrong with them now, as a sentence about the first and how many more there are; nil if nothing is.
function certificates:fault(now)
  if self.unreadable then return self.unreadable end
  local faults = {}
  for _, pair in pairs(self.pairs) do
    if pair.fault then faults[#faults + 1] = pair.fault end
  end
  for name, one in pairs(self.by_name) do
    local left = one.ends - now
    if left < 0 then
      faults[#faults + 1] = 'the certificate of ' .. name .. ' has ended'
    elseif left < SOON then
      faults[#faults + 1] = string.format('the certificate of %s ends in %d days', name, math.floor(left / 86400))
    end
  end
  if not faults[1] then return nil end
  table.sort(faults)
  return #faults == 1 and faults[1] or string.format('%s, and %d more', faults[1], #faults - 1)
end

--- Calls `take(name, unix seconds)` for each name, with the end of what is shown for it.
function certificates:ends(take)
  for name, one in pairs(self.by_name) do take(name, one.ends) end
end

return certificates
