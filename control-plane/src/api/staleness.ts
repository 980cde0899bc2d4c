import type { ReadinessResource } from '../model/readiness.js';

/** The header that says since when what an answer shows is of the past. */
export const STALE_HEADER = 'X-Ebbgate-Stale';

/** The header that says how old what a standby shows may be, in seconds. */
export const AGE_HEADER = 'X-Ebbgate-View-Age';

export const AGE_MEANING =
  'In what a standby shows: seconds since it heard ZooKeeper, or read what the leader has published, whichever is longer ago. ' +
  'Absent while a store does not answer: `X-Ebbgate-Stale` says since when.';

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
