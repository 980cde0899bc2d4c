--- What the answer of an instance to a check means (docs/contract/wire.md, health.check).
local find, match, sub, lower = string.find, string.match, string.sub, string.lower

local check = {}

--- A body is searched as far as this; a head may be as long as LONGEST_HEAD.
check.BODY = 65536
local LONGEST_HEAD = 32768

--- The request for an HTTP check. `host` is what the Host header says.
function check.request(path, host)
  return 'GET ' .. path .. ' HTTP/1.1\r\nHost: ' .. host
    .. '\r\nUser-Agent: ebbgate-check\r\nAccept: */*\r\nConnection: close\r\n\r\n'
end

local function is_wanted(status, ranges)
  for i = 1, #ranges do
    if status >= ranges[i][1] and status <= ranges[i][2] then return true end
  end
  return false
end

--- A chunked body without its framing, as far as it came.
local function unchunk(text)
  local parts, at = {}, 1
  while true do
    local first, last, size = find(text, '^(%x+)[^\r\n]*\r\n', at)
    size = size and tonumber(size, 16)
    if not first or size == 0 then return table.concat(parts), size == 0 end
    parts[#parts + 1] = sub(text, last + 1, last + size)
    at = last + size + 3
    if at > #text then return table.concat(parts), false end
  end
end

--- Where the final answer begins: behind all 1xx, which only announce it. Nil while a 1xx has not come whole.
local function start_of(text)
  local at = 1
  while find(text, '^HTTP/%d%.%d 1%d%d[ \r\n]', at) do
    local _, last = find(text, '\r\n\r\n', at, true)
    if not last then return nil end
    at = last + 1
  end
  return at
end

--- Of what came so far: true (passed), or false and why, or nil when more is needed. `closed`: no more will come.
function check.verdict(text, closed, rules)
  local start = start_of(text)
  if not start then
    if closed or #text > LONGEST_HEAD then return false, 'no final answer after 1xx' end
    return nil
  end
  if start > 1 then text = sub(text, start) end
  local status = match(text, '^HTTP/%d%.%d (%d%d%d)[ \r\n]')
  if not status then
    if closed or #text > 64 then return false, 'no HTTP answer' end
    return nil
  end
  if not is_wanted(tonumber(status), rules.statuses) then return false, 'status ' .. status end
  if rules.body == '' then return true end
  local _, head_end = find(text, '\r\n\r\n', 1, true)
  if not head_end then
    if closed or #text > LONGEST_HEAD then return false, 'no body' end
    return nil
  end
  local body, ended = sub(text, head_end + 1), false
  if find(lower(sub(text, 1, head_end)), '\r\ntransfer%-encoding:[ \t]*chunked') then body, ended = unchunk(body) end
  if find(sub(body, 1, check.BODY), rules.body, 1, true) then return true end
  if closed or ended or #body >= check.BODY then return false, 'the body does not have it' end
  return nil
end

return check
