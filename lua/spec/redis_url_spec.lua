local cjson = require 'cjson'
local redis_url = require 'ebbgate.core.redis_url'
local tools = require 'spec.tools'

--- The contract has null where Lua has nothing.
local function without_null(value)
  if value == cjson.null then return nil end
  if type(value) ~= 'table' then return value end
  local copy = {}
  for name, member in pairs(value) do copy[name] = without_null(member) end
  return copy
end

describe('Redis URLs', function()
  local contract = cjson.decode(tools.contract('redis_urls'))

  it('are read as docs/contract/redis_urls.json says', function()
    for _, row in ipairs(contract.accepted) do
      local found, err = redis_url.parse(row.url)
      assert.is_nil(err, row.url)
      assert.same(without_null(row.address), found, row.url)
    end
    assert.is_true(#contract.accepted > 20)
  end)

  it('are refused as it says', function()
    for _, row in ipairs(contract.refused) do
      local found, err = redis_url.parse(row.url)
      assert.is_nil(found, row.url)
      assert.truthy(string.find(err, row.says, 1, true), row.url .. ': ' .. err)
    end
    assert.is_true(#contract.refused > 50)
  end)

  it('are refused without their password', function()
    for _, url in ipairs({
      'redis://u:s3cret@h:x', 'redis://u:s3cret@h/x', 'redis://u:s3cret@', 'rediss://u:s3cret@h?x', 'x://u:s3cret@h',
    }) do
      local _, err = redis_url.parse(url)
      assert.is_nil(string.find(err, 's3cret', 1, true))
    end
  end)

  it('get the passwords that they lack', function()
    local found = redis_url.with_passwords(redis_url.parse('redis+sentinel://u@h/m?sentinel_user=w'), 'p', 's')
    assert.same({ 'p', 's' }, { found.password, found.sentinel.password })
    assert.equal('own', redis_url.with_passwords(redis_url.parse('redis://u:own@h'), 'p').password)
    assert.is_nil(redis_url.with_passwords(redis_url.parse('redis://h'), '').password)
    local _, why = redis_url.with_passwords(redis_url.parse('redis://u@h'), '')
    assert.equal('the Redis URL has a user but no password', why)
    _, why = redis_url.with_passwords(redis_url.parse('redis+sentinel://h/m?sentinel_user=w'), 'p')
    assert.equal('the Redis URL has a sentinel_user but no sentinel_password', why)
  end)
end)
