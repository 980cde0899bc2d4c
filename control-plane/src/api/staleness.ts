import type { ReadinessResource } from '../model/readiness.js';

/** The header that says since when what an answer shows is of the past. */
export const STALE_HEADER = 'X-Ebbgate-Stale';

export const STALE_MEANING =
  'Present while a store does not answer: `zookeeper` (registrations and intents are as of that time), `redis` (what gateways ' +
  'report is), each with since when, like `zookeeper=2026-05-01T12:00:00.000Z, redis=2026-05-01T12:00:04.000Z`.';

/** Its value; null while all that is shown is of now. */
export function staleness({
  zookeeper,
  redis,
}: Pick<ReadinessResource, 'zookeeper' | 'redis'>): string | null {
  const stores = [
    ['zookeeper', zookeeper],
    ['redis', redis],
  ] as const;
  const stale = stores.flatMap(([name, { stale_since: since }]) =>
    since === null ? [] : [`${name}=${since}`],
  );
  return stale.length === 0 ? null : stale.join(', ');
}
