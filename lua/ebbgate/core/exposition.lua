--- Prometheus' text format, version 0.0.4.
local gsub, format, concat = string.gsub, string.format, table.concat

local exposition = {}

exposition.CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

local ESCAPES = { ['\\'] = '\\\\', ['"'] = '\\"', ['\n'] = '\\n' }

local function number(value)
  return value == math.floor(value) and format('%.0f', value) or format('%.6g', value)
end

local function label(name, value)
  return name .. '="' .. gsub(value, '[\\"\n]', ESCAPES) .. '"'
end

local function labels_text(names, sample)
  local parts = {}
  for i = 1, #names do parts[i] = label(names[i], sample.values[i]) end
  if sample.le then parts[#parts + 1] = label('le', sample.le) end
  return #parts > 0 and '{' .. concat(parts, ',') .. '}' or ''
end

--- `families`: list of {metric (of core/metrics.lua), samples}; a sample is {value, values (of the metric's labels)}, and for a
--- histogram {suffix = '_sum' …, le}. Samples are sorted, so that two scrapes of one state are equal.
function exposition.render(families)
  local lines = {}
  for _, family in ipairs(families) do
    local metric, samples = family.metric, {}
    lines[#lines + 1] = '# HELP ' .. metric.name .. ' ' .. metric.help
    lines[#lines + 1] = '# TYPE ' .. metric.name .. ' ' .. metric.type
    for i, sample in ipairs(family.samples) do
      samples[i] = metric.name .. (sample.suffix or '') .. labels_text(metric.labels, sample) .. ' ' .. number(sample.value)
    end
    -- Those of a histogram have an order of their own.
    if metric.type ~= 'histogram' then table.sort(samples) end
    for i = 1, #samples do lines[#lines + 1] = samples[i] end
  end
  lines[#lines + 1] = ''
  return concat(lines, '\n')
end

return exposition
