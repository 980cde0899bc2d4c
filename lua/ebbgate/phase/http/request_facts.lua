--- What routes with conditions ask of the current request (core/route_condition.lua).
local query = require 'ebbgate.core.query'
local request_head = require 'ebbgate.phase.http.request_head'

local request_facts = {}

local ngx, concat = ngx, table.concat
local get_method, get_headers = ngx.req.get_method, ngx.req.get_headers

--- Of the request that is asked about; nothing yields meanwhile.
local headers, var = false, nil

--- Before a request is asked about.
function request_facts.begin(variables) headers, var = false, variables end

request_facts.method = get_method

--- What the instance would not get decides nothing either.
function request_facts.header(name)
  if not headers then
    request_head.clean()
    headers = get_headers(0)
  end
  local value = headers[name]
  if type(value) == 'table' then return concat(value, ', ') end
  return value
end

function request_facts.argument(name) return query.first(var.args, name) end

function request_facts.client() return var.binary_remote_addr end

return request_facts
