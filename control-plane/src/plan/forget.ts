import type { ServiceReleases } from '../model/release.js';
import type { IntentRecord, OperationRecord } from '../model/intent.js';

/**
 * From when on, by the wall clock in milliseconds, the record of a service that is gone says nothing that somebody needs: so long
 * after the last thing that happened to it. Infinity while anything in it is decided, or may still end: an intent outlives its registration.
 */
export function forgettableAt(record: IntentRecord, afterMs: number): number {
  const { spec, instances, versions, freeze, hold, breaker, accepted, ops, events } = record;
  const decided = [spec, instances, versions].some((one) => Object.keys(one).length > 0);
  if (decided || freeze || hold || breaker || accepted || ops.some(mayEnd)) return Infinity;
  const moments = [...events.map(({ at }) => at), ...ops.map(({ at, ended_at }) => ended_at ?? at)];
  return Math.max(0, ...moments.map((at) => Date.parse(at))) + afterMs;
}

/** The same of the releases of a service: so long after the last one ended. Infinity while one runs. */
export function releasesForgettableAt({ current, history }: ServiceReleases, afterMs: number): number {
  if (current !== null) return Infinity;
  return Math.max(0, ...history.map(({ ended_at, since }) => Date.parse(ended_at ?? since))) + afterMs;
}

function mayEnd({ result }: OperationRecord): boolean {
  return result === undefined || result === 'unproven' || result === 'timed_out';
}
