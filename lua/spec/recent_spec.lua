local recent = require 'ebbgate.core.recent'

local function totals(admitted, refused) return { shop = { all = { admitted = admitted, refused = refused } } } end

describe('what was added of late', function()
  it('is nothing at the first look, and then what came since', function()
    local looks = recent.new()
    assert.same({ { shop = { all = { admitted = 0, refused = 0 } } }, 0 }, { looks:gained(100, totals(7, 1)) })
    assert.same({ { shop = { all = { admitted = 3, refused = 1 } } }, 2 }, { looks:gained(102, totals(10, 2)) })
  end)

  it('is of the last minute: at least sixty seconds, and one step more at most', function()
    local looks = recent.new()
    for at = 0, 600 do
      local gained, seconds = looks:gained(at, totals(at * 10, 0))
      assert.is_true(seconds <= 65)
      if at >= 65 then assert.is_true(seconds >= 60) end
      assert.equal(seconds * 10, gained.shop.all.admitted)
    end
  end)

  it('begins anew with a counter that does, and with one that was not there', function()
    local looks = recent.new()
    looks:gained(0, totals(100, 50))
    local gained = looks:gained(1, { shop = { all = { admitted = 4, refused = 60 }, new = { admitted = 2 } } })
    assert.same({ all = { admitted = 4, refused = 10 }, new = { admitted = 2 } }, gained.shop)
  end)

  it('keeps a bounded number of looks', function()
    local looks = recent.new()
    for at = 0, 10000 do looks:gained(at, totals(at, at)) end
    assert.is_true(#looks.looks <= 14)
  end)
end)
