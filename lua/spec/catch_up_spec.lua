package.path = 'lua/spec/?.lua;' .. package.path
local nginx = require 'nginx'
local host = nginx.install()
local tools = require 'tools'
local answers = {}
package.loaded['ebbgate.worker.follow.redis'] = {
  script = function() return answers.index end,
  pipeline = function(connection, commands)
    connection:init_pipeline(#commands)
    for _, command in ipairs(commands) do connection[command[1]](connection, unpack(command, 2)) end
    return connection:commit_pipeline()
  end,
}
local cjson = require 'cjson'
local keys = require 'ebbgate.core.keys'
local position = require 'ebbgate.core.position'
local catch_up = require 'ebbgate.worker.follow.catch_up'
local store = require 'ebbgate.worker.follow.store'

host.ngx.null = cjson.null

local PAYLOAD = '{"v":1,"service":"shop","balancer":{"algorithm":"random"},"timeouts":{"connect_ms":1,"send_ms":1,"read_ms":1},'
  .. '"retry":{"tries":1},"health":{"max_fails":0,"fail_timeout_ms":1},"upstream":{"scheme":"https","tls":"mutual"},"peers":[]}'

--- Redis with one set, at (1, 5).
local connection = { replies = {} }
function connection:init_pipeline() self.replies = {} end
function connection:hmget(_, ...)
  local values = { epoch = '1', generation = '5', hash = tools.sha1(PAYLOAD), payload = PAYLOAD }
  local reply = {}
  for i, field in ipairs({ ... }) do reply[i] = values[field] end
  self.replies[#self.replies + 1] = reply
end
function connection:commit_pipeline() return self.replies end

local ignore = setmetatable({}, { __index = function() return function() end end })
local SERVER = { run = function(_, work) return work(connection) end }

--- A pass over `files` and `state`, for a worker whose conf has the TLS profiles `own`.
local function new_pass(files, state, own, source)
  local profiles = {}
  for name in string.gmatch(own, '%S+') do profiles[name] = true end
  return catch_up.new({
    source = source or { is_replica = function() return false end }, store = files, state = state, json = cjson,
    tools = { json = cjson.decode, sha1 = tools.sha1, profiles = profiles }, script = {}, problems = ignore,
    reporter = ignore, health = ignore, lock = { take = function() return true end, is_owned = function() return true end },
    profiles = own,
  })
end

--- A store that has the set at (1, 5), and a gateway that has applied it.
local function gateway()
  local state, sets = host.dictionary(), host.dictionary()
  sets:safe_set(keys.sets.last_stamp, 0)
  local files = store.new(sets, nil, function() return true end)
  files:share('shop', { epoch = 1, generation = 5, hash = tools.sha1(PAYLOAD), payload = PAYLOAD }, true)
  state:safe_set(keys.state.applied, position.pack(1, 5))
  state:safe_set(keys.state.sealed_epoch, 1)
  return files, state
end

describe('a set whose TLS profile a reload took away', function()
  --- What is rejected after a pass of a worker whose conf has `own` profiles, when the newest conf has `newest`.
  local function rejected_after(own, newest)
    local files, state = gateway()
    state:safe_set(keys.state.profiles, newest)
    state:safe_set(keys.state.rejected, '{"shop":{"generation":"5","code":"unknown_profile"}}')
    answers.index = { '1', '5', '1', '1', 'shop', '5' }
    local answered = new_pass(files, state, own):run(true, SERVER)
    assert.is_true(answered)
    return cjson.decode((state:get(keys.state.rejected)))
  end
  local rejection = { shop = { generation = '5', code = 'unknown_profile' } }

  it('is served again once a conf has the profile', function()
    assert.same({}, rejected_after('internal mutual', 'internal mutual'))
  end)

  it('stays rejected by a worker of that conf', function()
    assert.same(rejection, rejected_after('internal', 'internal'))
  end)

  it('stays rejected by a worker of the conf before', function()
    assert.same(rejection, rejected_after('internal mutual', 'internal'))
  end)
end)

describe('a pass', function()
  it('acks nothing if a set is older than the index said: another server has answered', function()
    local files, state = gateway()
    answers.index = { '1', '6', '1', '0', 'shop', '6' }
    assert.is_true(new_pass(files, state, 'mutual'):run(false, SERVER))
    assert.same({ 1, 5 }, { position.unpack(state:get(keys.state.applied)) })
  end)

  it('at a replica that is below what was applied, or has nothing, is a failure', function()
    local said = {}
    local source = {
      is_replica = function() return true end, said = function(_, _, point) said[#said + 1] = point or false end,
    }
    for _, index in ipairs({ { '1', '4', '1', '0' }, {} }) do
      local files, state = gateway()
      answers.index = index
      local answered, err = new_pass(files, state, 'mutual', source):run(false, SERVER)
      assert.is_nil(answered)
      assert.matches(#index == 0 and 'has no sets' or 'below what was applied', err)
    end
    assert.equal(4, said[1].generation)
    assert.is_false(said[2])
  end)
end)
