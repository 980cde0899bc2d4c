package.path = 'lua/spec/?.lua;' .. package.path
local ffi = require 'ffi'
local nginx = require 'nginx'
local host = nginx.install()
local tools = require 'tools'

--- Requests that wait: coroutines that go on when somebody posts, or their time is over.
local sleepers = {}
package.loaded['ngx.semaphore'] = {
  new = function()
    local one = { posted = 0 }
    function one:post(n) self.posted = self.posted + n end
    function one:wait(seconds)
      local ends = host.time + seconds
      while self.posted == 0 and host.time < ends do coroutine.yield() end
      self.posted = 0
    end
    return one
  end,
}
local choice = require 'ebbgate.worker.choice'
local concurrency = require 'ebbgate.worker.concurrency'
local memory = require 'ebbgate.worker.limit.memory'
local open_counts = require 'ebbgate.worker.limit.open_counts'
local policies = require 'ebbgate.worker.policies'
local process = require 'ebbgate.worker.process'
local upstreams = require 'ebbgate.core.upstream'

pcall(ffi.cdef, 'int fork(void); void _exit(int code); int waitpid(int pid, int *status, int options); int getpid(void);')

local ensure = tools.ensure

--- Workers of one gateway: memory, and the policy of each. All are this process, so that none is dead.
local function gateway(given, workers, instances)
  host.time, sleepers = 1000, {}
  local settings = {
    max_per_instance = 0, max_per_service = 0, max_pending = 0, pending_ms = 1000, priority = 'default', priority_header = '',
  }
  for name, value in pairs(given) do settings[name] = value end
  local address, counts, list = memory.map(65536), {}, {}
  local counters = { add = function(_, _, n, _, priority, result)
    local name = priority .. ' ' .. result
    counts[name] = (counts[name] or 0) + n
  end }
  for i = 1, workers or 1 do
    local shared = memory.at(address)
    shared:enlist(nginx.living())
    local entry = { upstream = { picker = { size = instances or 1 } } }
    list[i] = policies.of(
      { service = 'shop', concurrency = settings }, entry, { memory = shared, counters = counters }, { concurrency }
    )
  end
  local self = { list = list, counts = counts }
  --- A request: {open, code, gone}; it waits by itself.
  function self.request(worker, priority, trusted)
    local one = { worker = worker or 1, open = false, code = nil, gone = false }
    local var = { ebb_trusted = trusted == false and '0' or '1', http_x_priority = priority }
    local code, _, _, turn = policies.refusal(list[one.worker], var)
    one.code, one.open = code, not code and not turn
    if turn then
      local thread = coroutine.create(function()
        one.code = policies.attend(list[one.worker], turn, var, function() return one.gone end)
        one.open = not one.code
      end)
      sleepers[#sleepers + 1] = thread
      coroutine.resume(thread)
    end
    return one
  end
  function self.finish(one)
    one.open = false
    policies.finish(list[one.worker], {}, {}, 200)
  end
  --- Lets so many seconds pass, and whoever waits look.
  function self.pass(seconds)
    for _ = 1, math.max(1, seconds * 100) do
      for _, thread in ipairs(sleepers) do
        if coroutine.status(thread) == 'suspended' then assert(coroutine.resume(thread)) end
      end
      host.time = host.time + 0.01
    end
  end
  return self
end

describe('the bound of a service', function()
  it('is none of a set that has none', function()
    assert.is_false(policies.of({ service = 'shop' }, {}, {}, { concurrency }))
    assert.is_nil(concurrency.new({ service = 'shop', concurrency = { max_per_service = 0, max_per_instance = 0 } }, {}, {}))
  end)

  it('holds over all workers, and is given back', function()
    local shop = gateway({ max_per_service = 5 }, 3)
    local open = {}
    for i = 1, 5 do open[i] = shop.request(1 + i % 3) end
    for worker = 1, 3 do assert.equal('at_capacity', shop.request(worker).code) end
    shop.finish(open[2])
    assert.is_true(shop.request(3).open)
    assert.equal('at_capacity', shop.request(1).code)
    assert.same({ ['default refused'] = 4 }, shop.counts)
  end)

  it('is what all of its instances may have, if that is less', function()
    local shop = gateway({ max_per_service = 100, max_per_instance = 2 }, 2, 3)
    for i = 1, 6 do assert.is_true(shop.request(1 + i % 2).open) end
    assert.equal('at_capacity', shop.request(1).code)
  end)
end)

describe('the queue of a service', function()
  it('serves who waits in order, before who comes', function()
    local shop = gateway { max_per_service = 1, max_pending = 2 }
    local open, first, second = shop.request(), shop.request(), shop.request()
    assert.same({ true, false, false }, { open.open, first.open, second.open })
    assert.equal('at_capacity', shop.request().code)
    shop.finish(open)
    local late = shop.request()
    assert.is_nil(late.code and late.open or nil)
    shop.pass(0.1)
    assert.same({ true, false }, { first.open, second.open })
    shop.finish(first)
    shop.pass(0.1)
    assert.is_true(second.open)
  end)

  it('ends after pending_ms, and for a client that has left', function()
    local shop = gateway { max_per_service = 1, max_pending = 5, pending_ms = 500 }
    shop.request()
    local waits, leaves = shop.request(), shop.request()
    leaves.gone = true
    shop.pass(0.2)
    assert.same({ nil, 'client_left' }, { waits.code, leaves.code })
    shop.pass(0.5)
    assert.equal('at_capacity', waits.code)
    assert.same({ ['default left'] = 1, ['default expired'] = 1 }, shop.counts)
    -- Both have given their places in it back.
    for _ = 1, 5 do assert.is_nil(shop.request().code) end
    assert.equal('at_capacity', shop.request().code)
  end)

  it('serves critical requests first, wherever they wait, and sheddable ones only while nobody waits', function()
    local shop = gateway({ max_per_service = 2, max_pending = 3, priority_header = 'X-Priority' }, 2)
    local one, two = shop.request(1), shop.request(2)
    local usual, critical = shop.request(1), shop.request(2, 'critical')
    assert.equal('at_capacity', shop.request(1, 'sheddable').code)
    shop.finish(one)
    shop.pass(0.1)
    assert.same({ false, true }, { usual.open, critical.open })
    shop.finish(two)
    assert.equal('at_capacity', shop.request(2, 'sheddable').code)
    shop.pass(0.1)
    assert.is_true(usual.open)
    shop.finish(usual)
    assert.is_true(shop.request(2, 'sheddable').open)
  end)

  it('takes the word of trusted proxies alone', function()
    local shop = gateway { max_per_service = 1, max_pending = 1, priority_header = 'X-Priority' }
    shop.request()
    shop.request()
    assert.equal('at_capacity', shop.request(1, 'critical', false).code)
    assert.equal('at_capacity', shop.request(1, 'urgent').code)
    assert.is_nil(shop.request(1, 'critical').code)
  end)

  it('never lets more through than the bound, nor forgets a place, over random histories', function()
    for seed = 1, 150 do
      local random = tools.random(seed)
      local most = random(6)
      local shop = gateway({ max_per_service = most, max_pending = random(4), priority_header = 'X-Priority' }, 3)
      local all = {}
      local function open()
        local count = 0
        for _, one in ipairs(all) do
          if one.open then count = count + 1 end
        end
        return count
      end
      for _ = 1, 80 do
        local roll = random(10)
        if roll <= 5 then
          all[#all + 1] = shop.request(random(3), ({ 'critical', 'default', 'sheddable' })[random(3)])
        elseif roll <= 8 then
          local one = #all > 0 and all[random(#all)]
          if one and one.open then shop.finish(one) elseif one and random(4) == 1 then one.gone = true end
        else
          shop.pass(random() * 0.4)
        end
        ensure(open() <= most, 'seed %d: %d of %d', seed, open(), most)
      end
      shop.pass(2)
      for _, one in ipairs(all) do
        if one.open then shop.finish(one) end
      end
      for i = 1, most do ensure(shop.request(1 + i % 3).open, 'seed %d: place %d of %d is lost', seed, i, most) end
      ensure(not shop.request(1).open, 'seed %d: one place too many', seed)
    end
  end)
end)

describe('the bound of an instance', function()
  local function worker_of(address, ids, most)
    local shared = memory.at(address)
    shared:enlist(nginx.living())
    local peers = {}
    for i, id in ipairs(ids) do
      peers[i] = { id = id, host = '10.0.0.1', port = i, version = '', weight = 1, down = false, state = 'up' }
    end
    local document = {
      kind = 'set', service = 'shop', balancer = { algorithm = 'weighted_round_robin' }, peers = peers,
      concurrency = { max_per_instance = most },
    }
    local current = upstreams.build(document, 'w', nil, {}, 0)
    local live = { policy_parts = { memory = shared } }
    return function(tried)
      local member, _, full = choice.member(live, {}, current, tried, nil, 0, false, 2)
      -- As live.enter counts it.
      if member then member.peer.open = member.peer.open + 1 end
      return member and member.id, full
    end
  end

  it('passes over who is full, on all workers, and says if all are', function()
    local address = memory.map(65536)
    local one, two = worker_of(address, { 'a', 'b', 'c' }, 2), worker_of(address, { 'a', 'b', 'c' }, 2)
    local seen = {}
    for i = 1, 6 do
      local id = assert((i % 2 == 0 and one or two)())
      seen[id] = (seen[id] or 0) + 1
    end
    assert.same({ a = 2, b = 2, c = 2 }, seen)
    assert.same({ nil, true }, { one() })
    assert.same({ nil, true }, { two({ a = true }) })
  end)

  it('keeps off those that were tried', function()
    local pick = worker_of(memory.map(65536), { 'a', 'b' }, 2)
    for _ = 1, 2 do assert.equal('b', (pick({ a = true }))) end
    assert.same({ nil, true }, { pick({ a = true }) })
  end)
end)

describe('open requests', function()
  it('are never more than may be, of several processes at once', function()
    local shared = memory.at(memory.map(65536))
    host.ngx.worker = { pid = function() return ffi.C.getpid() end }
    local pids, most = {}, 7
    local seen = shared.slots:find(77, 77, 0)
    seen.idle_at = math.huge
    for i = 1, 4 do
      local pid = ffi.C.fork()
      if pid == 0 then
        local mine = memory.at(tonumber(ffi.cast('intptr_t', shared.header)))
        mine:enlist(process.incarnation())
        local counts, open = open_counts.new(mine, 'x'), 0
        for _ = 1, 4000 do
          if counts:open(open, most) then
            open = open + 1
            mine:lock()
            seen.spent = seen.spent + 1
            seen.before = math.max(seen.before, seen.spent)
            mine:unlock()
          elseif open > 0 then
            mine:lock()
            seen.spent = seen.spent - 1
            mine:unlock()
            open = open - 1
            counts:note(open)
          end
        end
        ffi.C._exit(0)
      end
      pids[i] = pid
    end
    for _, pid in ipairs(pids) do ffi.C.waitpid(pid, nil, 0) end
    assert.equal(most, seen.before)
  end)
end)
