import { expect, test } from 'vitest';
import { NO_INTENT } from '../../model/intent.js';
import type { IntentStore, Office, Publisher, Term } from '../../model/ports.js';
import { buildEncoded, buildPeer, buildSet } from '../../testing/builders.js';
import { lead, leads, meta, projection } from '../../testing/controller_plays.js';
import { register, start, until, useServers } from '../../testing/controller_rig.js';

/*
 * What a controller may still send that led once, and does not know better: none of it is taken, by ZooKeeper or by Redis.
 */

useServers();

test('of 1,000 writes under a term of before none is accepted', { timeout: 120_000 }, async () => {
  await register('a');
  // The stores of the first controller, as they were given to it; they go on working when it has ended its term.
  const own: { publisher?: Publisher; intents?: IntentStore; office?: Office } = {};
  const first = await lead({
    publisher: (real) => (own.publisher = real),
    intents: (real) => (own.intents = real),
    office: (real) => (own.office = real),
  });
  const present = await own.office!.present();
  if (!present.ok || present.value === null) throw new Error('nobody leads');
  const old: Term = present.value;
  const second = await start();
  first.election.resign();
  await leads(second);
  // Everything is published anew under the new term.
  await until(async () => {
    const now = await meta();
    expect(now.sealed === '1' && now.epoch > old.epoch).toBe(true);
  });
  const { generation } = await meta();
  const before = await projection();
  const encoded = buildEncoded(buildSet({ service: 'shop', peers: [buildPeer({ id: 'stale' })] }));
  const expected = { last_generation: 0, at: '2026-01-01T00:00:00Z', encoded };
  const answers = new Map<string, number>();
  const count = (answer: string): void => void answers.set(answer, (answers.get(answer) ?? 0) + 1);
  for (let round = 0; round < 250; round += 1) {
    const record = { ...NO_INTENT, versions: { stale: round + 1 } };
    // By what it believes is there, and by what is there.
    for (const etag of [null, '0-0']) {
      const written = await own.intents!.write(old, [{ service: `shop-${String(round)}`, etag, record }]);
      count(written.ok ? 'written' : written.error.kind);
    }
    for (const at of [round, generation]) {
      const { epoch } = old;
      const answer = await own.publisher!.publish({ ...expected, epoch, expected_generation: at });
      count(answer.kind);
    }
  }
  expect([...answers]).toEqual([['fenced', 1_000]]);
  for (const [verb, answer] of [
    ['open', await own.publisher!.open(old.epoch)],
    ['seal', await own.publisher!.seal(old.epoch)],
  ] as const)
    expect([verb, answer.kind]).toEqual([verb, 'fenced']);
  expect(await projection()).toBe(before);
  expect(second.controller.service('shop-0')).toBeUndefined();
});
