import { describe, expect, test } from 'vitest';
import { checkHost, parseNetworks, type AllowedNetworks } from './networks.js';

function networks(...cidrs: string[]): AllowedNetworks {
  const parsed = parseNetworks(cidrs);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

describe('without configured networks', () => {
  test.each([
    ['10.0.1.7', '10.0.1.7'],
    ['192.168.0.1', '192.168.0.1'],
    ['8.8.8.8', '8.8.8.8'],
    ['172.16.0.1', '172.16.0.1'],
    ['100.64.0.1', '100.64.0.1'],
    ['100.100.100.201', '100.100.100.201'],
    ['168.63.129.17', '168.63.129.17'],
    ['FD00::7', 'fd00::7'],
    ['2A00:0DB8:0:0:0:0:0:1', '2a00:db8::1'],
    ['64:ff9b::a00:107', '64:ff9b::a00:107'],
    ['::ffff:10.0.1.7', '10.0.1.7'],
    ['::ffff:0a00:0107', '10.0.1.7'],
  ])('%s is allowed and spelled %s', (host, spelled) => {
    expect(checkHost(host, networks())).toEqual({ ok: true, value: spelled });
  });

  test.each([
    ['127.0.0.1', 'loopback'],
    ['127.9.9.9', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['::7f00:1', 'loopback'],
    ['64:ff9b::7f00:1', 'loopback'],
    ['2002:7f00:1::', 'loopback'],
    ['64:ff9b::a9fe:a9fe', 'link-local'],
    ['169.254.169.254', 'link-local'],
    ['fe80::1', 'link-local'],
    ['224.0.0.1', 'multicast'],
    ['ff02::1', 'multicast'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['::', 'unspecified'],
    ['255.255.255.255', 'broadcast'],
    ['100.100.100.200', 'metadata'],
    ['168.63.129.16', 'metadata'],
    ['192.0.0.192', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['fd00:ec2::23', 'metadata'],
    ['::ffff:100.100.100.200', 'metadata'],
    ['64:ff9b::6464:64c8', 'metadata'],
    ['64:ff9b:1::6464:64c8', 'metadata'],
    ['2002:a83f:8110::', 'metadata'],
    ['::ffff:0:c000:c0', 'metadata'],
    ['192.0.2.1', 'documentation'],
    ['198.51.100.1', 'documentation'],
    ['203.0.113.1', 'documentation'],
    ['2001:db8::1', 'documentation'],
    ['3fff::1', 'documentation'],
    ['198.19.255.255', 'benchmarks'],
    ['2001:2::1', 'benchmarks'],
    ['192.88.99.1', '6to4'],
    ['240.0.0.1', 'reserved'],
    ['254.1.1.1', 'reserved'],
    ['100::1', 'discarding'],
    ['2001::1', 'Teredo'],
    ['2001:20::1', 'identifier'],
    ['fec0::1', 'deprecated'],
    ['5f00::1', 'segment routing'],
  ])('%s is refused as %s', (host, why) => {
    const checked = checkHost(host, networks());
    expect(checked.ok ? checked.value : checked.error).toContain(why);
  });
});

test.each([
  undefined,
  null,
  7,
  '',
  'localhost',
  'shop.internal',
  '127.1',
  '0x7f000001',
  '2130706433',
  '010.0.0.1',
  '10.0.0.1 ',
  '10.0.0.1:80',
  '10.0.0.1/8',
  '[::1]',
  'fe80::1%eth0',
  '::10.0.0.1',
])('%s is no IP literal', (host) => {
  for (const allowed of [networks(), networks('0.0.0.0/0', '::/0')]) {
    const checked = checkHost(host, allowed);
    expect(checked.ok ? checked.value : checked.error).toContain('must be an IP address');
  }
});

describe('with configured networks', () => {
  test.each([
    ['127.0.0.1', ['127.0.0.0/8'], true],
    ['::ffff:127.0.0.1', ['127.0.0.0/8'], true],
    ['10.0.0.1', ['127.0.0.0/8'], false],
    ['10.1.2.3', ['10.1.0.0/16', 'fd00::/8'], true],
    ['10.2.2.3', ['10.1.0.0/16', 'fd00::/8'], false],
    ['fd12::1', ['10.1.0.0/16', 'fd00::/8'], true],
    ['fe80::1', ['10.1.0.0/16', 'fd00::/8'], false],
    ['::1', ['0.0.0.0/0'], false],
    ['10.0.0.1', ['::/0'], false],
  ])('%s inside %s: %s', (host, cidrs, expected) => {
    const checked = checkHost(host, networks(...cidrs));
    expect(checked.ok).toBe(expected);
    if (!checked.ok) expect(checked.error).toContain(cidrs[0]);
  });
});

test.each(['10.0.0.0', '10.0.0.0/33', 'fd00::/129', '10.0.0/8', 'any', '', '10.0.0.0/8/8', '10.0.0.0/-1'])(
  'network %s is refused by name',
  (cidr) => {
    const parsed = parseNetworks(['10.0.0.0/8', cidr]);
    expect(parsed.ok ? '' : parsed.error).toContain(`"${cidr}"`);
  },
);
