/**
 * Every key and channel of the wire contract. All carry the hash tag `{ebb}`, so one script may touch them together,
 * on Redis Cluster too. `name` is a service's name or `@routes`, `id` a gateway's; both must be validated before.
 */
export const KEYS = {
  meta: '{ebb}:meta',
  set: (name: string): string => `{ebb}:set:${name}`,
  index: '{ebb}:index',
  gateways: '{ebb}:gateways',
  heartbeat: (id: string): string => `{ebb}:gw:${id}`,
  stats: (id: string): string => `{ebb}:stats:${id}`,
} as const;

/** The copy of the truth, which only controllers may read: it has what people decided, and who they are. */
export const COPY_KEYS = {
  head: '{ebb}:copy',
  records: '{ebb}:copy:records',
  staged: '{ebb}:copy:staged',
  previous: '{ebb}:copy:previous',
  previousRecords: '{ebb}:copy:previous:records',
  /** Of both. */
  audit: '{ebb}:copy:audit',
} as const;

/** Channels carry hints, never data: whoever misses one finds the same by reading. */
export const CHANNELS = { changed: '{ebb}:changed', report: '{ebb}:report' } as const;
