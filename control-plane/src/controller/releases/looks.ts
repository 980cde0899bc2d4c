import type { ReleaseRecord, StoredRelease } from '../../model/release.js';

/** A release as this controller has looked at it: what only counts is ahead of what is written. */
export interface Look {
  readonly etag: string;
  readonly record: ReleaseRecord;
  readonly waiting_for: readonly string[];
  /** Why it cannot go on, for another reason than its facts; or null. */
  readonly problem: string | null;
}

/** The last look at the running release of each service. */
export class Looks {
  readonly #looks = new Map<string, Look>();

  /** Forgets those of services without a release. */
  retain(services: ReadonlySet<string>): void {
    for (const service of this.#looks.keys()) if (!services.has(service)) this.#looks.delete(service);
  }

  keep({ service, etag }: StoredRelease, look: Omit<Look, 'etag'>): void {
    this.#looks.set(service, { etag, ...look });
  }

  of(service: string): Look | undefined {
    return this.#looks.get(service);
  }

  /** The record with what was counted since it was written; a move that is not written counts for nothing. */
  present({ service, etag, record }: StoredRelease): ReleaseRecord {
    const look = this.#looks.get(service);
    return look?.etag === etag && look.record.rev === record.rev ? look.record : record;
  }
}
