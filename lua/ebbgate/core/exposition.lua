--- Prometheus' text format, version 0.0.4.
local gsub, format, concat = string.gsub, string.format, table.concat

local exposition = {}

exposition.CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

local ESCAPES = { ['\\'] = '\\\\', ['"'] = '\\"', ['\n'] = '\\n' }

local function number(value)
  return value == math.floor(value) and format('%.0f', value) or format('%.6g', value)
end

local function labels_text(labels)
  local parts = {}
  for i = 1, #labels, 2 do
    parts[#parts + 1] = labels[i] .. '="' .. gsub(labels[i + 1], '[\\"\n]', ESCAPES) .. '"'
  end
  return #parts > 0 and '{' .. concat(parts, ',') .. '}' or ''
end

--- `families`: list of {name, type, help, samples}; a sample is {labels = {name, value, …}, value, suffix = '_sum' …}.
--- Samples are sorted, so that two scrapes of one state are equal.
function exposition.render(families)
  local lines = {}
  for _, family in ipairs(families) do
    lines[#lines + 1] = '# HELP ' .. family.name .. ' ' .. family.help
    lines[#lines + 1] = '# TYPE ' .. family.name .. ' ' .. family.type
    local samples = {}
    for i, sample in ipairs(family.samples) do
      samples[i] = family.name .. (sample.suffix or '') .. labels_text(sample.labels or {}) .. ' ' .. number(sample.value)
    end
    if not family.ordered then table.sort(samples) end
    for i = 1, #samples do lines[#lines + 1] = samples[i] end
  end
  lines[#lines + 1] = ''
  return concat(lines, '\n')
end

return exposition
