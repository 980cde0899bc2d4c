local framing = require 'ebbgate.core.framing'

describe('the framing of an answer', function()
  local rows = {
    -- status, first Content-Length, what nginx took, first Transfer-Encoding, sound
    { 200, nil, nil, nil, true },
    { 200, '5', '5', nil, true },
    { 200, '005', '5', nil, true },
    { 200, '5', '6', nil, false },
    { 200, '-1', nil, nil, false },
    { 200, '+5', nil, nil, false },
    { 200, '0x5', '5', nil, false },
    { 200, '5, 5', nil, nil, false },
    { 200, '', nil, nil, false },
    -- With a Transfer-Encoding nginx takes no length.
    { 200, '5', nil, nil, false },
    { 200, nil, nil, 'chunked', true },
    { 200, nil, nil, 'Chunked', true },
    { 200, nil, nil, 'gzip, chunked', false },
    { 200, nil, nil, 'xchunked', false },
    { 200, nil, nil, 'identity', false },
    { 204, nil, nil, nil, true },
    { 204, '0', '0', nil, true },
    { 204, '5', '5', nil, false },
    { 204, nil, nil, 'chunked', false },
    { 304, '5', '5', nil, true },
  }
  for i, row in ipairs(rows) do
    it('is checked, row ' .. i, function()
      assert.equal(row[5], framing.is_sound(row[1], row[2], row[3], row[4]))
    end)
  end
end)
