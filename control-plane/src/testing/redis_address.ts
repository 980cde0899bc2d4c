import { parseRedisUrl, type RedisAddress } from '../model/redis_url.js';

/** The address behind a URL; a bad one throws. */
export function redisAddress(url: string): RedisAddress {
  const parsed = parseRedisUrl(url);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** A Redis of a test on 127.0.0.1, without a password. */
export function localRedis(port: number): RedisAddress {
  return redisAddress(`redis://127.0.0.1:${String(port)}`);
}
