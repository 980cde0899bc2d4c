--- Every line of the access log is JSON in valid UTF-8, whatever was sent. nginx escapes quotes and control characters; what
--- else a client may put into a line comes through here, if it has anything but ASCII (nginx/partials/log.hbs).
local utf8 = require 'ebbgate.core.utf8'
local live = require 'ebbgate.worker.live'

local log_text = {}

local http = live.http

--- Reads pairs VARIABLE=SOURCE of nginx with a space between them: which variable the log shows, and where its text comes from.
function log_text.parse(names)
  local list = {}
  for variable, source in string.gmatch(names, '(%S+)=(%S+)') do list[#list + 1] = { variable, source } end
  return list
end

--- In the log phase.
function log_text.clean(var)
  if var.ebb_log_odd == '' then return end
  for _, pair in ipairs(http.log_texts) do
    local value = var[pair[2]]
    if value then var[pair[1]] = utf8.clean(value) end
  end
end

return log_text
