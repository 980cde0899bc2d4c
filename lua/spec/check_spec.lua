local check = require 'ebbgate.core.check'

local function rules(body, statuses) return { body = body or '', statuses = statuses or { { 200, 399 } } } end

describe('the answer to a check', function()
  local head = 'HTTP/1.1 200 OK\r\nServer: x\r\n\r\n'
  local rows = {
    { 'HTTP/1.1 200 OK\r\n', false, rules(), true },
    { 'HTTP/1.0 204\r\n', false, rules(), true },
    { 'HTTP/1.1 500 Oh\r\n', false, rules(), false, 'status 500' },
    { 'HTTP/1.1 500 Oh\r\n', false, rules('', { { 200, 299 }, { 500, 500 } }), true },
    { 'HTTP/1.1 2', false, rules(), nil },
    { 'HTTP/1.1 2', true, rules(), false, 'no HTTP answer' },
    { string.rep('x', 65), false, rules(), false, 'no HTTP answer' },
    { '', true, rules(), false, 'no HTTP answer' },
    { head .. 'all is ok', false, rules('ok'), true },
    { head .. 'all is o', false, rules('ok'), nil },
    { head .. 'all is o', true, rules('ok'), false, 'the body does not have it' },
    { head .. string.rep('x', check.BODY - 1) .. 'ok', false, rules('ok'), false, 'the body does not have it' },
    { 'HTTP/1.1 200 OK\r\n', false, rules('OK'), nil },
    -- Plain text, no pattern.
    { head .. 'a', true, rules('.'), false, 'the body does not have it' },
    -- Chunks may cut the word in two.
    { 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n', false, rules('ok'), true },
    {
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n0\r\n\r\n', false, rules('ok'), false,
      'the body does not have it',
    },
    -- 1xx announce an answer, however many there are.
    { 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n', false, rules(), true },
    { 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 500 Oh\r\n', false, rules(), false, 'status 500' },
    { 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n', false, rules(), nil },
    { 'HTTP/1.1 103 Early Hints\r\n\r\n', false, rules(), nil },
    { 'HTTP/1.1 103 Early Hints\r\n\r\n', true, rules(), false, 'no HTTP answer' },
    { 'HTTP/1.1 103 Early Hints\r\n', true, rules(), false, 'no final answer after 1xx' },
    { 'HTTP/1.1 103 Early Hints\r\n\r\n' .. head .. 'is ok', false, rules('ok'), true },
  }
  for i, row in ipairs(rows) do
    it('is read, row ' .. i, function()
      local passed, reason = check.verdict(row[1], row[2], row[3])
      assert.equal(row[4], passed)
      assert.equal(row[5], reason)
    end)
  end
end)
