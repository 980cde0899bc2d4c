import { expect, test } from 'vitest';
import type { Publisher } from '../../model/ports.js';
import type { PublishedDocument } from '../../model/set.js';
import type { World } from '../../plan/world.js';
import { buildEncoded, buildRoutes, buildTombstone, buildWitnesses } from '../../testing/builders.js';
import { createFakeClock } from '../../testing/clock.js';
import { createRecordingLog } from '../../testing/log.js';
import { MemorySets } from '../../testing/memory/published_sets.js';
import { PublishedSets } from './published_sets.js';
import { Pruning } from './pruning.js';

const TOMBSTONE_MS = 600_000;
const DAY_MS = 86_400_000;

/** Redis with the routes at 1 and a tombstone of `orders` at 2, and who prunes it. */
async function begin() {
  const clock = createFakeClock();
  const sets = new MemorySets(clock);
  const publisher: Publisher = sets.publisher();
  await publisher.start();
  await publisher.open(7);
  const known = new PublishedSets();
  known.begin([], 0);
  const at = '2026-05-01T12:00:00Z';
  for (const [index, encoded] of [
    buildEncoded(buildRoutes()),
    buildEncoded(buildTombstone('orders')),
  ].entries()) {
    await publisher.publish({ epoch: 7, last_generation: index, expected_generation: 0, at, encoded });
    known.settle({ ...encoded, epoch: 7, generation: index + 1, at });
  }
  await publisher.seal(7);
  const doubts: string[] = [];
  const pruning = new Pruning({
    publisher,
    publication: {
      state: 'sealed',
      published: known.published,
      withdraw: (those: readonly PublishedDocument[]) => {
        for (const { service, generation } of those) known.withdraw(service, generation);
      },
      doubt: (reason) => {
        doubts.push(reason);
      },
    },
    leadership: { term: { epoch: 7, fence: 1 } as never },
    clock,
    log: createRecordingLog(),
    tombstoneMs: TOMBSTONE_MS,
  });
  const look = (heard: Parameters<typeof buildWitnesses>[0] = {}): Promise<void> =>
    pruning.run({ witnesses: buildWitnesses(heard), unsettled: new Set() } as unknown as World);
  const inRedis = (): readonly string[] => [...sets.sets.keys()].sort();
  return { clock, sets, known, pruning, look, inRedis, doubts };
}

/** One gateway that is heard, and has applied so much. */
const at = (generation: number) => ({ 'g-1': { applied: { epoch: 7, generation } } });

test('a tombstone goes after its time, and nothing else does', async () => {
  const { clock, look, inRedis, known } = await begin();
  await look();
  await clock.advance(TOMBSTONE_MS - 1);
  await look();
  expect(inRedis()).toEqual(['@routes', 'orders']);
  await clock.advance(5_000);
  await look();
  expect(inRedis()).toEqual(['@routes']);
  expect([...known.published.keys()]).toEqual(['@routes']);
  expect(known.generationOf('orders')).toBe(0);
});

test('it waits for a gateway that has not followed, for a day at most', async () => {
  const { clock, look, inRedis } = await begin();
  await look(at(1));
  await clock.advance(TOMBSTONE_MS + 5_000);
  await look(at(1));
  expect(inRedis()).toContain('orders');
  await clock.advance(DAY_MS);
  await look(at(1));
  expect(inRedis()).toEqual(['@routes']);
  const other = await begin();
  await other.look(at(2));
  await other.clock.advance(TOMBSTONE_MS + 5_000);
  await other.look(at(2));
  expect(other.inRedis()).toEqual(['@routes']);
});

test('without an answer it may be gone: nothing relies on it, and it is asked again until one comes', async () => {
  const { clock, sets, look, inRedis, known, doubts } = await begin();
  await look();
  sets.refuses = 'READONLY';
  await clock.advance(TOMBSTONE_MS + 5_000);
  await look();
  expect(inRedis()).toContain('orders');
  expect(known.published.has('orders')).toBe(false);
  sets.refuses = null;
  await clock.advance(5_000);
  await look();
  expect(inRedis()).toEqual(['@routes']);
  expect(doubts).toEqual([]);
});

test('Redis that went back or is another leader’s is a doubt', async () => {
  const { clock, sets, look, doubts } = await begin();
  await look();
  sets.wipe();
  await clock.advance(TOMBSTONE_MS + 5_000);
  await look();
  expect(doubts).toEqual(['Redis has lost data']);
  const other = await begin();
  await other.look();
  await other.sets.publisher().start();
  other.sets.meta = { epoch: 8, generation: 9, sealed: false };
  await other.clock.advance(TOMBSTONE_MS + 5_000);
  await other.look();
  expect(other.doubts).toEqual(['epoch 8 is open in Redis']);
});
