import type { Counts } from '../../model/release_gates.js';
import type { ReleaseRecord } from '../../model/release.js';
import { RECENT_MS } from '../../plan/release/facts.js';
import type { ReleaseDeps } from './deps.js';
import { TrafficLog } from './traffic_log.js';

/** How often counters are read while a release runs. */
const READ_MS = 1_000;
/**
 * Counters arrive so late: a worker adds up once a second, its gateway reports every two seconds at the least, and is asked once a
 * second. What comes in before a release is so old may be of requests that came before it.
 */
const LATE_MS = 4_000;

/** What gateways counted, as far as it is of one release; null = it cannot be read, or may be of before. */
export interface ReleaseCounts {
  readonly totals: Readonly<Record<string, Counts>> | null;
  readonly recent: Readonly<Record<string, Counts>> | null;
}

/** Reads the gateways' counters once a second while a release runs, beside the passes. */
export class Counters {
  readonly #deps: Pick<ReleaseDeps, 'clock' | 'reader' | 'world' | 'wake'>;
  #log = new TrafficLog();
  /** Release → the monotonic moments since which it is looked at here, and from which on its counters are its own. */
  readonly #seen = new Map<string, { readonly since: number; readonly from: number }>();
  #readAt = -Infinity;
  #reading: Promise<void> | null = null;

  constructor(deps: Pick<ReleaseDeps, 'clock' | 'reader' | 'world' | 'wake'>) {
    this.#deps = deps;
  }

  /** Reads them, if that is due; forgets what was of releases that are over. */
  read(running: readonly ReleaseRecord[]): void {
    const { clock, reader, world, wake } = this.#deps;
    const ids = new Set(running.map(({ id }) => id));
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id);
    if (running.length === 0) {
      // A reading that is still under way ends in the log that it began for: it is of releases that are over.
      this.#log = new TrafficLog();
      return;
    }
    if (this.#reading || clock.monotonic() - this.#readAt < READ_MS) return;
    this.#readAt = clock.monotonic();
    const log = this.#log;
    const services = new Set(running.map(({ service }) => service));
    this.#reading = reader
      .read([...world().witnesses.fleet.heard.keys()])
      .then((read) => {
        if (!read.ok) return;
        log.take(read.value, services, clock.monotonic());
        wake();
      })
      .finally(() => {
        this.#reading = null;
      });
  }

  /** What was counted of a release. `wall` is milliseconds of the wall clock. */
  of({ id, service, target, at }: ReleaseRecord, wall: number): ReleaseCounts {
    const now = this.#deps.clock.monotonic();
    const { since, from } = this.#seen.get(id) ?? { since: now, from: now };
    // Of a target that was counted before the release began, what still comes in may be of then. By both clocks, so that a
    // wrong one delays nothing.
    const young = Math.max(now - since, wall - Date.parse(at)) < LATE_MS;
    const late = young && this.#log.hasCountedBefore(service, target);
    const first = late ? now : from;
    this.#seen.set(id, { since, from: first });
    return {
      totals: late ? null : this.#log.totals(service),
      recent: this.#log.recent(service, Math.max(first, now - RECENT_MS)),
    };
  }

  /** Waits for a reading that is under way; closing the reader ends it. */
  async close(): Promise<void> {
    await this.#reading;
  }
}
