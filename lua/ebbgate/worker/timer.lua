--- Background work that ends with its worker.
local timer = {}

--- Runs `work()` once, soon, outside of any request. An error is logged under `name`.
function timer.soon(name, work)
  return ngx.timer.at(0, function(premature)
    if premature then return end
    local ok, err = pcall(work)
    if not ok then ngx.log(ngx.ERR, 'ebbgate: ', name, ': ', err) end
  end)
end

--- Runs `work()` every `seconds`, never twice at a time. `finish()`, if given, runs once when the worker begins to exit:
--- recurring timers fire a last time then, with `premature`.
function timer.every(name, seconds, work, finish)
  local running = false
  return assert(ngx.timer.every(seconds, function(premature)
    if premature or ngx.worker.exiting() then
      if finish then finish() end
      return
    end
    if running then return end
    running = true
    local ok, err = pcall(work)
    running = false
    if not ok then ngx.log(ngx.ERR, 'ebbgate: ', name, ': ', err) end
  end))
end

return timer
