package.path = 'lua/spec/?.lua;' .. package.path
local ffi = require 'ffi'
local nginx = require 'nginx'
local host = nginx.install()
local limits = require 'ebbgate.worker.limit.limits'
local memory = require 'ebbgate.worker.limit.memory'
local policies = require 'ebbgate.worker.policies'
local process = require 'ebbgate.worker.process'

ffi.cdef [[ int fork(void); void _exit(int code); int waitpid(int pid, int *status, int options); int getpid(void); ]]

local function rule(more)
  local all = {
    name = 'all', algorithm = 'token_bucket', key = {}, rate = '10/s', burst = 3, queue = 0, cost = 1, status = 429,
    mode = 'enforce', exempt = {}, routes = {},
  }
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

local function request(ip, more)
  local all = { binary_remote_addr = string.char(10, 0, 0, ip) }
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

--- {policy, counts, memory}: the limits of a service in a memory of their own.
local function service(given)
  local counts, shared = {}, memory.at(memory.map(65536))
  local counters = { limited = function(_, counted)
    counted.dirty = true
    counts[counted.limit] = counted
  end }
  local parts = { memory = shared, counters = counters }
  local policy = limits.new({ service = 'shop', limits = given }, {}, parts)
  return { policy = policy, counts = counts, memory = shared, parts = parts }
end

local function count_admitted(policy, one, times)
  local admitted = 0
  for _ = 1, times do
    if not policy:admit(one) then admitted = admitted + 1 end
  end
  return admitted
end

describe('limits', function()
  it('are none of a set that has none', function()
    assert.is_nil(limits.new({ service = 'shop' }, {}, {}))
    assert.is_nil(limits.new({ service = 'shop', limits = {} }, {}, {}))
  end)

  it('admit what they allow of each key, and say what they refuse', function()
    local shop = service { rule { key = { 'client_ip' } } }
    assert.equal(3, count_admitted(shop.policy, request(1), 10))
    assert.equal(3, count_admitted(shop.policy, request(2), 10))
    local code, about = shop.policy:admit(request(1))
    assert.equal('quota_exceeded', code)
    assert.same({
      status = 429, names = { 'all' }, retry = 1, policy = '"all";q=10;w=1', left = '"all";r=0;t=1',
    }, about)
    host.time = host.time + 1
    assert.equal(3, count_admitted(shop.policy, request(1), 10))
    assert.same({ 9, 22 }, { shop.counts.all.admitted, shop.counts.all.refused })
  end)

  it('take nothing where another one refuses', function()
    local narrow = rule { name = 'narrow', burst = 2, key = { 'client_ip' }, status = 503 }
    local shop = service { rule { name = 'wide', burst = 100 }, narrow }
    assert.equal(2, count_admitted(shop.policy, request(1), 50))
    local _, about = shop.policy:admit(request(1))
    assert.same({ 503, { 'narrow' }, '"wide";r=98;t=1, "narrow";r=0;t=1' }, { about.status, about.names, about.left })
    -- Were they taken, the wide one would be spent by now.
    for ip = 2, 50 do assert.equal(2, count_admitted(shop.policy, request(ip), 2)) end
    assert.equal(0, count_admitted(shop.policy, request(51), 2))
  end)

  it('that are only watched refuse nothing, and count what they would have', function()
    local shop = service { rule { mode = 'log', burst = 1 } }
    assert.equal(10, count_admitted(shop.policy, request(1), 10))
    assert.same({ 1, 9 }, { shop.counts.all.admitted, shop.counts.all.refused })
  end)

  it('leave out who is exempt', function()
    local shop = service { rule { exempt = { '10.0.0.8/29', 'fd00::/8' } } }
    assert.equal(20, count_admitted(shop.policy, request(9), 20))
    assert.equal(3, count_admitted(shop.policy, request(7), 20))
  end)

  it('delay what a leaky bucket has a place for', function()
    local shop = service { rule { algorithm = 'leaky_bucket', burst = 0, queue = 2 } }
    local function answer()
      local code, _, wait = shop.policy:admit(request(1))
      return code or wait and math.floor(wait * 1000 + 0.5) or 'at once'
    end
    assert.same({ 'at once', 100, 200, 'quota_exceeded' }, { answer(), answer(), answer(), answer() })
    assert.equal(2, shop.counts.all.delayed)
  end)

  it('keep what they have counted when a set changes, unless the algorithm is another', function()
    local shop = service { rule() }
    assert.equal(3, count_admitted(shop.policy, request(1), 5))
    local again = limits.new({ service = 'shop', limits = { rule { burst = 4 } } }, {}, shop.parts)
    assert.equal(1, count_admitted(again, request(1), 5))
    local other = limits.new({ service = 'shop', limits = { rule { algorithm = 'fixed_window', burst = 0 } } }, {}, shop.parts)
    assert.equal(10, count_admitted(other, request(1), 50))
    local elsewhere = limits.new({ service = 'cart', limits = { rule() } }, {}, shop.parts)
    assert.equal(3, count_admitted(elsewhere, request(1), 5))
  end)
end)

describe('a limit of open requests', function()
  local open = { algorithm = 'concurrency', rate = '', burst = 3 }

  it('is given back when a request ends, also one that a later policy refused', function()
    local shop = service { rule(open) }
    assert.equal(3, count_admitted(shop.policy, request(1), 5))
    shop.policy:finish(nil, request(1))
    assert.equal(1, count_admitted(shop.policy, request(1), 5))
    local busy = { admit = function() return 'too_many' end }
    shop.policy:finish(nil, request(1))
    assert.equal('too_many', (policies.refusal({ shop.policy, busy }, request(1))))
    assert.equal(1, count_admitted(shop.policy, request(1), 5))
  end)

  it('that is only watched ends in step too', function()
    local shop = service { rule { algorithm = 'concurrency', rate = '', burst = 1, mode = 'log' } }
    assert.equal(5, count_admitted(shop.policy, request(1), 5))
    for _ = 1, 5 do shop.policy:finish(nil, request(1)) end
    assert.equal(4, shop.counts.all.refused)
    shop.policy:admit(request(1))
    assert.equal(4, shop.counts.all.refused)
  end)
end)

--- Runs `work(child's number)` in `count` processes at once and waits for them; `harm(pids)` meanwhile.
local function in_processes(count, work, harm)
  local pids = {}
  for i = 1, count do
    local pid = ffi.C.fork()
    if pid == 0 then
      pcall(work, i)
      ffi.C._exit(0)
    end
    pids[i] = pid
  end
  if harm then harm(pids) end
  for _, pid in ipairs(pids) do ffi.C.waitpid(pid, nil, 0) end
end

describe('the memory of limits', function()
  it('lets exactly so many through as a limit allows, of several processes at once', function()
    for _, algorithm in ipairs { 'token_bucket', 'fixed_window', 'sliding_window' } do
      local shop = service { rule { algorithm = algorithm, rate = '5000/h', burst = algorithm == 'token_bucket' and 5000 or 0 } }
      -- A limit of its own counts what was admitted.
      local counted = shop.memory.slots:find(77, 77, 0)
      counted.idle_at = math.huge -- its place is given to no other key
      in_processes(4, function()
        local admitted = count_admitted(shop.policy, request(1), 4000)
        shop.memory:lock()
        counted.spent = counted.spent + admitted
        shop.memory:unlock()
      end)
      assert.equal(5000, counted.spent, algorithm)
    end
  end)

  it('is no longer locked when its owner has died', function()
    local shop = service { rule() }
    in_processes(1, function()
      shop.memory:lock()
      ffi.C._exit(1)
    end)
    assert.equal(3, count_admitted(shop.policy, request(1), 5))
    -- Whoever dies at any moment, the lock goes on.
    in_processes(4, function()
      while true do shop.policy:admit(request(2)) end
    end, function(pids)
      for _, pid in ipairs(pids) do
        count_admitted(shop.policy, request(3), 3000)
        ffi.C.kill(pid, 9)
      end
    end)
    host.time = host.time + 10
    assert.equal(3, count_admitted(shop.policy, request(4), 5))
  end)

  it('forgets what a worker had open that has died', function()
    local of_ten = rule { algorithm = 'concurrency', rate = '', burst = 10 }
    local shop = service { of_ten }
    host.ngx.worker = { pid = function() return ffi.C.getpid() end }
    shop.memory:enlist(process.incarnation())
    assert.equal(2, count_admitted(shop.policy, request(1), 2))
    in_processes(3, function()
      local mine = memory.at(tonumber(ffi.cast('intptr_t', shop.memory.header)))
      mine:enlist(process.incarnation())
      shop.parts.memory = mine
      local policy = limits.new({ service = 'shop', limits = { of_ten } }, {}, shop.parts)
      count_admitted(policy, request(1), 2)
    end)
    assert.equal(2, count_admitted(shop.policy, request(1), 20))
    shop.memory:bury()
    assert.equal(6, count_admitted(shop.policy, request(1), 20))
    -- This process lives, and so does what it has open.
    shop.memory:bury()
    assert.equal(0, count_admitted(shop.policy, request(1), 20))
  end)
end)
