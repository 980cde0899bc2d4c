import type { Term, WriteFailure } from '../../model/ports.js';
import type { ReleaseRecord, Shares, StoredRelease } from '../../model/release.js';
import { sharesOfRelease } from '../../plan/release/service_record.js';
import { recordIn, type World } from '../../plan/world.js';
import { Backoff } from '../backoff.js';
import type { ReleaseDeps } from './deps.js';
import { editOf } from './edits.js';

type Needs = Pick<ReleaseDeps, 'store' | 'intents' | 'authority' | 'clock' | 'log' | 'wake'>;

/** Writes of one service's releases that failed, until one succeeds. */
interface Failing {
  readonly backoff: Backoff;
  readonly reason: string;
}

/** Writes what passes made of releases. A write that fails is tried again by a later pass, with growing pauses per service. */
export class ReleaseWrites {
  readonly #deps: Needs;
  readonly #failing = new Map<string, Failing>();

  constructor(deps: Needs) {
    this.#deps = deps;
  }

  /** Forgets the failures of services without a release. */
  retain(services: ReadonlySet<string>): void {
    for (const service of this.#failing.keys()) if (!services.has(service)) this.#failing.delete(service);
  }

  /** True if a write makes sense now. */
  mayWrite(service: string): boolean {
    return this.#failing.get(service)?.backoff.over ?? true;
  }

  /** Why the last write failed, or null. */
  failureOf(service: string): string | null {
    return this.#failing.get(service)?.reason ?? null;
  }

  /** Writes a release as it is after a move, or with what only counts. */
  async persist(term: Term, stored: StoredRelease, record: ReleaseRecord): Promise<void> {
    const written = await this.#deps.store.write(term, [editOf(stored, record)]);
    await this.#note(term, stored.service, written.ok ? null : written.error);
    if (!written.ok || record.rev === stored.record.rev) return;
    const { id, service, state, phase, step, message } = record;
    this.#deps.log.info({ service, release: id, state, phase, step }, message);
    this.#deps.wake();
  }

  /** Writes the shares into the service's own record, so that they outlive the release. */
  async writeShares(world: World, term: Term, release: ReleaseRecord, shares: Shares): Promise<void> {
    const { service } = release;
    const stored = world.intents.get(service);
    // The version that is left serves again while nobody of the new one can; one that was found bad does not.
    const fallback =
      release.state === 'finalizing' && release.stable !== release.target ? release.stable : null;
    const record = sharesOfRelease(recordIn(world, service), release, { shares, fallback }, world.wall);
    const written = await this.#deps.intents.write(term, [{ service, etag: stored?.etag ?? null, record }]);
    await this.#note(term, service, written.ok ? null : written.error);
  }

  async #note(term: Term, service: string, failure: WriteFailure | null): Promise<void> {
    const { authority, clock, log, wake } = this.#deps;
    if (failure === null) {
      this.#failing.delete(service);
      wake();
      return;
    }
    if (failure.kind === 'fenced') {
      await authority.refused(term);
      wake();
      return;
    }
    const backoff = this.#failing.get(service)?.backoff ?? new Backoff(clock);
    const reason = failure.kind === 'unavailable' ? failure.reason : failure.kind;
    this.#failing.set(service, { backoff, reason });
    if (backoff.failed()) log.warn({ service, reason }, 'release not written; will try again');
  }
}
