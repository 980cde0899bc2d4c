import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { describeAddress, parseRedisUrl, withPasswords, type RedisAddress } from './redis_url.js';

/*
 * docs/contract/redis_urls.json against the reader of this language; lua/spec/redis_url_spec.lua walks the same file.
 */

const FILE = new URL('../../../docs/contract/redis_urls.json', import.meta.url);
const contract = JSON.parse(readFileSync(FILE, 'utf8')) as {
  readonly accepted: readonly { readonly url: string; readonly address: RedisAddress }[];
  readonly refused: readonly { readonly url: string; readonly says: string }[];
};

test.each(contract.accepted)('$url is read', ({ url, address }) => {
  expect(parseRedisUrl(url)).toEqual({ ok: true, value: address });
});

test.each(contract.refused)('$url is refused with a reason', ({ url, says }) => {
  const result = parseRedisUrl(url);
  expect(result.ok).toBe(false);
  if (!result.ok) expect(result.error).toContain(says);
});

test('neither a refusal nor the description repeats the password', () => {
  for (const url of [
    'redis://u:s3cret@h:x',
    'redis://u:s3cret@h/x',
    'redis://u:s3cret@',
    'rediss://u:s3cret@h?x',
    'x://u:s3cret@h',
  ])
    expect(JSON.stringify(parseRedisUrl(url))).not.toContain('s3cret');
  const shown = (url: string): string => {
    const parsed = parseRedisUrl(url);
    return parsed.ok ? describeAddress(parsed.value) : parsed.error;
  };
  expect(shown('redis://u:s3cret@[::1]:6379/2')).toBe('redis://[::1]:6379/2');
  expect(shown('rediss+sentinel://u:s3cret@a,b:1/m/3?sentinel_password=s3cret')).toBe(
    'rediss+sentinel://a:26379,b:1/m/3',
  );
  expect(shown('redis+cluster://a,b')).toBe('redis+cluster://a:6379,b:6379');
});

function filled(url: string, password: string, sentinelPassword = ''): unknown {
  const parsed = parseRedisUrl(url);
  return parsed.ok ? withPasswords(parsed.value, { password, sentinelPassword }) : parsed;
}

test('passwords that the URL lacks come from elsewhere, and a user without one is refused', () => {
  expect(filled('redis+sentinel://u@h/m?sentinel_user=w', 'p', 's')).toMatchObject({
    value: { username: 'u', password: 'p', sentinel: { username: 'w', password: 's' } },
  });
  expect(filled('redis://u:own@h', 'p')).toMatchObject({ value: { password: 'own' } });
  expect(filled('redis://h', '')).toMatchObject({ value: { password: null } });
  expect(filled('redis://u@h', '')).toMatchObject({ error: expect.stringMatching(/user but no password/) });
  expect(filled('redis+sentinel://h/m?sentinel_user=w', 'p')).toMatchObject({
    error: expect.stringMatching(/sentinel_user but no sentinel_password/),
  });
});
