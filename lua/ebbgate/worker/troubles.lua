--- What is wrong now: counted every time, logged when it begins and when it ends.
local troubles = {}
troubles.__index = troubles

function troubles.new(counters)
  return setmetatable({ counters = counters, present = {} }, troubles)
end

function troubles:raise(kind, detail)
  self.counters:sync_error(kind)
  if self.present[kind] then return end
  self.present[kind] = true
  ngx.log(ngx.WARN, 'ebbgate: ', kind, ': ', detail)
end

function troubles:settle(kind)
  if not self.present[kind] then return end
  self.present[kind] = nil
  ngx.log(ngx.NOTICE, 'ebbgate: ', kind, ' is over')
end

return troubles
