import { addressOf, parseRedisUrl } from '../model/redis_url.js';
import { err, ok, type Result } from '../model/result.js';
import { asText, field } from './field.js';

/** A Redis URL without passwords, because nginx.conf is no secret. */
export const redisUrl = field((value): Result<string, string> => {
  const url = asText(value);
  const parsed = parseRedisUrl(url);
  if (!parsed.ok) return err(`must be a Redis URL: ${parsed.error}`);
  const { password, sentinel } = parsed.value;
  if (password !== null || sentinel.password !== null)
    return err(
      'must have no password: give it to nginx in EBBGATE_REDIS_PASSWORD or EBBGATE_REDIS_SENTINEL_PASSWORD',
    );
  return /^[A-Za-z0-9:/?@,.&=%_+~[\]-]*$/.test(url)
    ? ok(url)
    : err('must be of A-Z a-z 0-9 : / ? @ , . & = _ + ~ [ ] - alone; write all else percent-encoded');
});

/** The Redis URL of one server, which is a replica. */
export const replicaUrl = field((value): Result<string, string> => {
  const parsed = parseRedisUrl(asText(value));
  if (!parsed.ok || parsed.value.kind !== 'single')
    return err(
      'must be redis://[user@]host[:port][/database] or rediss://… of one server: replicas are not looked for at sentinels, nor in a cluster',
    );
  const url = redisUrl.safeParse(value);
  return url.success ? ok(url.data) : err(url.error.issues[0]?.message ?? 'must be a Redis URL');
});

/** The files of authorities that connections to these Redis URLs believe, each once; an empty URL and one without TLS have none. */
export function redisAuthorities(urls: readonly string[]): readonly string[] {
  const files = urls.filter((url) => url !== '').map((url) => addressOf(url).tls?.ca ?? '');
  return [...new Set(files)].filter((file) => file !== '');
}
