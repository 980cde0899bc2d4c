import type { Clock, Publisher, Term } from '../../model/ports.js';
import type { EncodedDocument } from '../../model/set.js';
import type { PublishedSets } from './published_sets.js';

/** How many publishes may be under way at once. */
const IN_FLIGHT = 64;

/** Where sets are published, and who learns what came of it. */
export interface PublishTarget {
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly sets: PublishedSets;
  /** The newest term of our own: once it is another one, answers under the one before count for nothing. */
  readonly term: () => Term | null;
  readonly isOpen: () => boolean;
  /** Redis has answered what was asked at monotonic moment `asked`. */
  readonly succeeded: (asked: number) => void;
  readonly failed: (reason: string) => void;
  /** Redis may not be what it was. */
  readonly doubt: (reason: string) => void;
}

/** Publishes `due`, several at once, until all are published or going on makes no sense now. */
export async function publishSets(due: readonly EncodedDocument[], target: PublishTarget): Promise<void> {
  const queue = due.values();
  const drain = async (): Promise<void> => {
    for (const encoded of queue) {
      if (!target.isOpen()) return;
      if (!(await publishOne(encoded, target))) return;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, drain));
}

/** False when going on with others makes no sense now. */
async function publishOne(
  encoded: EncodedDocument,
  target: PublishTarget,
  mayRetry = true,
): Promise<boolean> {
  const { publisher, clock, sets } = target;
  const term = target.term();
  const { service } = encoded;
  if (!term) return false;
  const at = new Date(clock.wall()).toISOString();
  const asked = clock.monotonic();
  const answer = await publisher.publish({
    epoch: term.epoch,
    last_generation: sets.lastGeneration,
    expected_generation: sets.generationOf(service),
    at,
    encoded,
  });
  if (target.term() !== term) return false;
  switch (answer.kind) {
    case 'published':
    case 'same':
      sets.settle({ ...encoded, epoch: term.epoch, generation: answer.generation, at });
      target.succeeded(asked);
      return true;
    case 'conflict':
      // Our own earlier write that seemed to fail, or one of the epoch before: what is wanted now goes on top.
      sets.correct(service, answer.generation);
      if (mayRetry) return publishOne(encoded, target, false);
      target.failed(`the set of ${service} is changed by somebody else`);
      return true;
    case 'lost':
      target.doubt('Redis has lost data');
      return false;
    case 'fenced':
      target.doubt(`epoch ${String(answer.epoch)} is open in Redis`);
      return false;
    case 'unavailable':
      target.failed(answer.reason);
      return false;
  }
}
