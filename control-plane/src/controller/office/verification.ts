import type { Clock } from '../../model/ports.js';
import { Backoff } from '../backoff.js';
import type { Publication } from './publication.js';

/** How often everything in Redis is compared with what was published; less often while a new epoch does not mend it. */
const VERIFY_MS = { usual: 30_000, most: 3_600_000 };

/** Compares everything in Redis with what was published, from time to time. */
export class Verification {
  readonly #publication: Publication;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  #dueAt: number;

  constructor(publication: Publication, clock: Clock) {
    this.#publication = publication;
    this.#clock = clock;
    this.#backoff = new Backoff(clock, 2 * VERIFY_MS.usual, VERIFY_MS.most);
    this.#dueAt = clock.monotonic() + VERIFY_MS.usual;
  }

  /** Verifies if it is time. What differs is a doubt about Redis, and so leads to a new epoch. */
  async run(): Promise<void> {
    const now = this.#clock.monotonic();
    if (this.#publication.state !== 'sealed' || now < this.#dueAt) return;
    const same = await this.#publication.verify();
    if (same) this.#backoff.succeeded();
    else this.#backoff.failed();
    this.#dueAt = same ? now + VERIFY_MS.usual : this.#backoff.retryAt;
  }
}
