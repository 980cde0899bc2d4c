import { expect, test } from 'vitest';
import { describeAddress, parseRedisUrl } from './address.js';

const nobody = { username: null, password: null };

test.each([
  ['redis://127.0.0.1', { host: '127.0.0.1', port: 6379, ...nobody, database: 0 }],
  ['redis://redis.internal:16379/3', { host: 'redis.internal', port: 16379, ...nobody, database: 3 }],
  ['redis://localhost/', { host: 'localhost', port: 6379, ...nobody, database: 0 }],
  ['redis://[2001:db8::1]:7000', { host: '2001:db8::1', port: 7000, ...nobody, database: 0 }],
  ['redis://:s3cret@h', { host: 'h', port: 6379, username: null, password: 's3cret', database: 0 }],
  ['redis://ebb:p%40%2F%25:x@h:1', { host: 'h', port: 1, username: 'ebb', password: 'p@/%:x', database: 0 }],
])('%s is read', (url, expected) => {
  expect(parseRedisUrl(url)).toEqual({ ok: true, value: expected });
});

test.each([
  ['', /must look like redis:/],
  ['http://h', /must look like redis:/],
  ['rediss://h', /TLS is not supported/],
  ['redis://', /host/],
  ['redis://u:pa/ss@h', /host|percent-encoded/],
  ['redis://h:0', /port must be/],
  ['redis://h:70000', /port must be/],
  ['redis://h:', /port must be/],
  ['redis://h:12x', /port must be/],
  ['redis://h/x', /database must be/],
  ['redis://h/1/2', /database must be/],
  ['redis://h?db=1', /must look like/],
  ['redis://h#x', /must look like/],
  ['redis://[::1', /must look like/],
  ['redis://[nonsense]', /host/],
  ['redis://-h', /host/],
  ['redis://user@h', /no password/],
  ['redis://user:@h', /empty password/],
  ['redis://user:%zz@h', /percent-encoded/],
  ['redis://a b', /host/],
])('%s is refused with a reason', (url, reason) => {
  const result = parseRedisUrl(url);
  expect(result.ok).toBe(false);
  if (!result.ok) expect(result.error).toMatch(reason);
});

test('neither a refusal nor the description repeats the password', () => {
  for (const url of [
    'redis://u:s3cret@h:x',
    'redis://u:s3cret@h/x',
    'redis://u:s3cret@',
    'rediss://u:s3cret@h',
  ])
    expect(JSON.stringify(parseRedisUrl(url))).not.toContain('s3cret');
  const good = parseRedisUrl('redis://u:s3cret@[::1]:6379/2');
  expect(good.ok && describeAddress(good.value)).toBe('redis://[::1]:6379/2');
});
