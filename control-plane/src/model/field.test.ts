import { expect, test } from 'vitest';
import { durationField, listenField, serversField, wholeField, wordField, znodePathField } from './field.js';

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
  expect(serversField.parse(connect)).toEqual({ ok: true, value: servers });
});

test.each(['', 'zk', 'zk:0', 'zk:65536', 'zk:2181/chroot', 'zk:2181,', 'fd00::1:2181', 'http://zk:2181'])(
  '"%s" is refused',
  (connect) => {
    expect(serversField.parse(connect).ok).toBe(false);
  },
);

test.each([
  ['0.0.0.0:0', { host: '0.0.0.0', port: 0 }],
  ['[::1]:8090', { host: '::1', port: 8090 }],
  ['control_plane.internal:65535', { host: 'control_plane.internal', port: 65_535 }],
])('%s is listened on', (text, address) => {
  expect(listenField.parse(text)).toEqual({ ok: true, value: address });
});

test('limits and what is beside them, with the sentence', () => {
  const whole = wholeField(1, 10);
  expect(['1', '10'].map((text) => whole.parse(text).ok)).toEqual([true, true]);
  for (const text of ['0', '11', '1.5', '', '-1', '1e1'])
    expect(whole.parse(text)).toEqual({ ok: false, error: 'must be a whole number from 1 to 10' });
  const duration = durationField(50, 60_000);
  expect(['50ms', '1m'].map((text) => duration.parse(text))).toEqual([
    { ok: true, value: 50 },
    { ok: true, value: 60_000 },
  ]);
  for (const text of ['49ms', '61s', '1', '', '-1s'])
    expect(duration.parse(text)).toEqual({
      ok: false,
      error: 'must be a duration like 500ms, 30s, 5m or 1h, from 50ms to 1m',
    });
  expect(wordField('a', 'b').parse('c')).toEqual({ ok: false, error: 'must be one of a, b' });
  expect(['/', 'x', '/x/', '/a//b', '/a b', ''].filter((text) => znodePathField.parse(text).ok)).toEqual([]);
  expect(['/x', '/a/b-c_d.e'].every((text) => znodePathField.parse(text).ok)).toBe(true);
});
