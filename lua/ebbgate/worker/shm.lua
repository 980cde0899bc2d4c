--- The shared dictionaries, one per purpose. Nothing here evicts: what must not be lost is written by `safe_*` alone.
local shm = {}

--- {sets, inflight, metrics, state, health}; throws if nginx.conf lacks one of them.
function shm.open()
  local dicts = {}
  for _, name in ipairs({ 'sets', 'inflight', 'metrics', 'state', 'health' }) do
    dicts[name] = ngx.shared['ebb_' .. name]
    if not dicts[name] then error('nginx.conf needs `lua_shared_dict ebb_' .. name .. ' SIZE;`', 2) end
  end
  return dicts
end

--- Adds `n` to a counter that may not exist yet; it is forgotten after `seconds`, if given. True, or nil and "no memory"; the
--- second value: whether it is new.
function shm.count(dict, key, n, seconds)
  local value, err = dict:incr(key, n)
  if value then return true, false end
  if err ~= 'not found' then return nil, err end
  local made, why = dict:safe_add(key, 0, seconds)
  if not made and why ~= 'exists' then return nil, why end
  dict:incr(key, n)
  return true, made == true
end

return shm
