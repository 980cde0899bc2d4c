local address = require 'ebbgate.core.address'

describe('IP literals', function()
  local rows = {
    [4] = { '0.0.0.0', '127.0.0.1', '255.255.255.255', '10.0.1.7' },
    [6] = {
      '::', '::1', '1::', '2001:db8::9', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8', '::ffff:10.0.0.1',
      '1:2:3:4:5:6:10.0.0.1', 'fe80::ABCD',
    },
  }
  for family, hosts in pairs(rows) do
    for _, host in ipairs(hosts) do
      it(host .. ' is of family ' .. family, function() assert.equal(family, address.family(host)) end)
    end
  end

  for _, host in ipairs({
    '', '1', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1.2.3.4 ', ' 1.2.3.4', '1.2.3.4\n', 'localhost', '1.2.3.a',
    '0x7f.0.0.1', ':', ':::', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', '12345::', 'g::', '[::1]', 'fe80::1%eth0',
    '::1:', ':1::', '1::10.0.0', '10.0.0.1::', '1:2:3:4:5:6:7:10.0.0.1', '1:2:3:4:5:6:7:8::', '::1/128', '1:2:3:4::5:6:7:8',
  }) do
    it(('%q is none'):format(host), function() assert.is_nil(address.family(host)) end)
  end

  it('is in brackets before a port if it has colons', function()
    assert.equal('[::1]', address.in_url('::1'))
    assert.equal('10.0.0.1', address.in_url('10.0.0.1'))
  end)
end)
