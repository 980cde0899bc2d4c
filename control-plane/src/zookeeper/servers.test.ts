import { expect, test } from 'vitest';
import { parseServers } from './servers.js';

test.each([
  ['127.0.0.1:2181', [{ host: '127.0.0.1', port: 2181 }]],
  [
    'zk-1.internal:2181, [fd00::1]:2182',
    [
      { host: 'zk-1.internal', port: 2181 },
      { host: 'fd00::1', port: 2182 },
    ],
  ],
])('%s', (connect, servers) => {
  expect(parseServers(connect)).toEqual({ ok: true, value: servers });
});

test.each(['', 'zk', 'zk:0', 'zk:65536', 'zk:2181/chroot', 'zk:2181,', 'fd00::1:2181', 'http://zk:2181'])(
  '"%s" is refused',
  (connect) => {
    expect(parseServers(connect).ok).toBe(false);
  },
);
