local freshness = require 'ebbgate.core.freshness'

local function at(generation, more)
  return { epoch = more and more.epoch or 1, generation = generation, sealed = not (more and more.unsealed) }
end

--- A replica that has been read since second 0, with everything up to generation 5.
local function reading()
  local subject = freshness.new()
  subject:primary_said(at(5), 0)
  assert.is_true(subject:probed(at(5), nil, 0))
  return subject
end

describe('a replica', function()
  it('is read at first once it has what the primary has', function()
    local subject = freshness.new()
    subject:primary_said(at(5), 0)
    assert.is_false(subject:probed(at(4), nil, 0))
    assert.is_false(subject.reads)
    assert.is_true(subject:probed(at(5), nil, 1))
    assert.is_true(subject.reads)
  end)

  it('is read while the primary was never heard, unless it is below what was applied', function()
    assert.is_false(freshness.new():probed(at(5), at(6), 0))
    assert.is_true(freshness.new():probed(at(6), at(6), 0))
  end)

  it('is not read without sets, or if it lacks a new epoch, or that it was sealed', function()
    for _, point in ipairs({ false, at(9), at(3, { epoch = 2, unsealed = true }) }) do
      local subject = freshness.new()
      subject:primary_said(at(3, { epoch = 2 }), 0)
      assert.is_false(subject:probed(point or nil, nil, 0))
    end
  end)

  it('is late after two seconds without what the primary has, not before', function()
    local subject = reading()
    assert.is_nil(subject:late_in(100))
    subject:primary_said(at(6), 100)
    assert.equal(2, subject:late_in(100))
    -- Later publications do not give it more time.
    subject:primary_said(at(7), 101)
    assert.equal(1, subject:late_in(101))
    assert.equal(0, subject:late_in(102))
  end)

  it('that always lags a little is never late', function()
    local subject = reading()
    for generation = 6, 60 do
      subject:primary_said(at(generation), generation)
      subject:replica_said(at(generation - 1))
      assert.is_true(subject:late_in(generation) > 0, generation)
    end
    subject:replica_said(at(60))
    assert.is_nil(subject:late_in(60))
  end)

  it('owes nothing that the primary has lost', function()
    local subject = reading()
    subject:primary_said(at(9), 100)
    subject:primary_said(at(7), 101)
    assert.equal(1, subject:late_in(101))
    subject:replica_said(at(7))
    assert.is_nil(subject:late_in(101))
    subject:primary_said(at(9), 101)
    subject:primary_said(at(4), 101)
    assert.is_nil(subject:late_in(101))
    subject:primary_said(nil, 102)
    assert.is_nil(subject:late_in(102))
  end)

  it('that was left is read again after ten seconds in which every answer was good', function()
    local subject = reading()
    assert.is_true(subject:leave(100))
    assert.is_false(subject:leave(100))
    for second = 100, 104 do assert.is_false(subject:probed(at(5), nil, second)) end
    assert.is_false(subject:probed(nil, nil, 105))
    for second = 106, 115 do assert.is_false(subject:probed(at(5), nil, second)) end
    assert.is_true(subject:probed(at(5), nil, 116))
  end)

  it('waits twice as long each time that it is left soon, and ten seconds again after it was well for long', function()
    local subject, now, waits = reading(), 100, {}
    for _, well in ipairs({ 1, 1, 1, 1, 1, 1, 61, 1 }) do
      subject:leave(now)
      local left = now
      while not subject:probed(at(5), nil, now) do now = now + 1 end
      waits[#waits + 1] = now - left
      now = now + well
    end
    assert.same({ 10, 20, 40, 80, 160, 160, 160, 10 }, waits)
  end)
end)
