local blame = require 'ebbgate.core.blame'

local function var(more)
  local all = { server_protocol = 'HTTP/1.1', upstream_bytes_sent = '400', request_length = '300', content_length = nil }
  for name, value in pairs(more) do all[name] = value end
  return all
end

describe('an upload', function()
  local rows = {
    { 'no body', {}, false },
    { 'an empty body', { content_length = '0' }, false },
    { 'all of it was sent', { content_length = '100', upstream_bytes_sent = '500' }, false },
    { 'some of it is left', { content_length = '100000', upstream_bytes_sent = '66000' }, true },
    { 'some of it is left at the second try', { content_length = '1000', upstream_bytes_sent = '5000, 900' }, true },
    { 'the try after it has no instance yet', { content_length = '1000', upstream_bytes_sent = '900 : ' }, true },
    { 'nothing was sent', { content_length = '1000', upstream_bytes_sent = nil }, true },
    {
      'chunks that came whole with the head',
      { http_transfer_encoding = 'chunked', content_length = '20', upstream_bytes_sent = '430' }, false,
    },
    {
      'chunks, more of them here than there',
      { http_transfer_encoding = 'chunked', request_length = '90000', upstream_bytes_sent = '60000' }, true,
    },
    {
      'many chunks',
      { http_transfer_encoding = 'chunked', request_length = '90000', upstream_bytes_sent = '90100' }, true,
    },
    { 'HTTP/2 without a body', { server_protocol = 'HTTP/2.0', request_length = '60' }, false },
    { 'HTTP/2, sent in part', { server_protocol = 'HTTP/2.0', request_length = '9000', upstream_bytes_sent = '400' }, true },
    { 'HTTP/2, much of it', { server_protocol = 'HTTP/2.0', request_length = '80000', upstream_bytes_sent = '80000' }, true },
  }
  for _, row in ipairs(rows) do
    it((row[3] and 'broke' or 'did not break') .. ': ' .. row[1], function()
      assert.equal(row[3], blame.is_upload(var(row[2])))
    end)
  end
end)

describe('a head', function()
  it('is too long when it fills the buffer', function()
    assert.is_true(blame.is_long_head({ upstream_bytes_received = '16384' }, 16384))
    assert.is_true(blame.is_long_head({ upstream_bytes_received = '0, 16384 : ' }, 16384))
    assert.is_false(blame.is_long_head({ upstream_bytes_received = '16384, 20' }, 16384))
    assert.is_false(blame.is_long_head({}, 16384))
  end)
end)
