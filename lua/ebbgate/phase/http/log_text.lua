--- Every line of the access log is JSON in valid UTF-8, whatever was sent. nginx escapes quotes and control characters; what
--- else a client may put into a line comes through here, if it holds anything but ASCII (nginx/partials/log.hbs).
local utf8 = require 'ebbgate.core.utf8'

local log_text = {}

local pairs_of = {}

--- `names` are pairs VARIABLE=SOURCE of nginx, a space between them: what is logged, and where it comes from.
function log_text.prepare(names)
  pairs_of = {}
  for variable, source in string.gmatch(names, '(%S+)=(%S+)') do pairs_of[#pairs_of + 1] = { variable, source } end
end

--- In the log phase.
function log_text.clean(var)
  if var.ebb_log_odd == '' then return end
  for i = 1, #pairs_of do
    local value = var[pairs_of[i][2]]
    if value then var[pairs_of[i][1]] = utf8.clean(value) end
  end
end

return log_text
