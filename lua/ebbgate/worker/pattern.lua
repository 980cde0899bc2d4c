--- The patterns of routes, by nginx's PCRE. The control plane lets through only what takes a bounded time
--- (control-plane/src/model/pattern.ts), and nginx.conf bounds it once more (lua_regex_match_limit).
local find = ngx.re.find

--- The function that says whether a whole text matches `text`. What is no pattern, or takes too long, matches nothing.
return function(text)
  -- `s`: a dot is any character, as in the control plane. `o`: made once in each worker.
  local whole = '^(?:' .. text .. ')\\z'
  local made, _, _, err = pcall(find, '', whole, 'jos')
  if not made or err then
    ngx.log(ngx.ERR, 'ebbgate: a route has a pattern that is none: ', text)
    return function() return false end
  end
  return function(value) return find(value, whole, 'jos') ~= nil end
end
