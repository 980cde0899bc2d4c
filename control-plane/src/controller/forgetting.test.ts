import { expect, test } from 'vitest';
import { NO_INTENT, type IntentRecord, type ServiceEvent, type StoredIntent } from '../model/intent.js';
import type { ServiceReleases } from '../model/release.js';
import type { World } from '../plan/world.js';
import { createFakeClock } from '../testing/clock.js';
import { createRecordingLog } from '../testing/log.js';
import { MemoryTruth } from '../testing/memory/truth.js';
import { must } from '../testing/must.js';
import { buildRelease } from '../testing/releases.js';
import { Forgetting } from './forgetting.js';

const FORGET_MS = 86_400_000;
const START = Date.parse('2026-05-01T12:00:00Z');
const EVENT: ServiceEvent = {
  ...{ at: '2026-05-01T12:00:00Z', event: 'restored', by: 'ann', message: 'restored' },
};

/** Three services in ZooKeeper: `gone` with nothing decided, `routed`, and `there`, which is registered. */
async function begin() {
  const clock = createFakeClock(START);
  const truth = new MemoryTruth();
  const [intents, histories, releases] = [truth.intents(), truth.histories(), truth.releases()];
  let shown: ReadonlyMap<string, StoredIntent> = new Map();
  let known: ReadonlyMap<string, ServiceReleases> = new Map();
  intents.onChange((now) => (shown = now));
  releases.onChange((now) => (known = now));
  for (const store of [intents, histories, releases]) await store.start();
  const term = await must(truth.office('one').take(1));
  const record: IntentRecord = { ...NO_INTENT, events: [EVENT] };
  const history = { etag: null, events: [EVENT] };
  const routed = { ...record, spec: { routes: [{ host: '*', path: '/' }] } };
  await must(
    intents.write(term, [
      { service: 'gone', etag: null, record, history },
      { service: 'routed', etag: null, record: routed, history },
      { service: 'there', etag: null, record, history },
    ]),
  );
  const current = buildRelease({ id: 'rel-1' });
  const [etag = null] = await must(
    releases.write(term, [{ service: 'gone', etag: null, current, archive: null }]),
  );
  const archive = buildRelease({ id: 'rel-1', n: 1, state: 'succeeded', ended_at: EVENT.at });
  await must(releases.write(term, [{ service: 'gone', etag, current: null, archive }]));
  const forgetting = new Forgetting({
    ...{ intents, histories, releases, clock, log: createRecordingLog() },
    authority: { refused: () => Promise.resolve('fenced' as const) },
    known: () => known,
    forgetMs: FORGET_MS,
  });
  const look = async (more: Partial<World> = {}): Promise<void> => {
    const world = { intents: shown, membership: new Map([['there', new Map()]]), damaged: new Map() };
    await forgetting.run({ ...world, wall: clock.wall(), ...more } as unknown as World, term);
    await clock.advance(60_000);
  };
  const left = () => ({ intents: [...shown.keys()].sort(), releases: [...known.keys()] });
  return { clock, truth, histories, look, left };
}

test('what is gone and decides nothing goes after its time, with its history, and then its releases', async () => {
  const { clock, histories, look, left } = await begin();
  await clock.advance(FORGET_MS - 1);
  await look();
  expect(left()).toEqual({ intents: ['gone', 'routed', 'there'], releases: ['gone'] });
  await look();
  expect(left()).toEqual({ intents: ['routed', 'there'], releases: ['gone'] });
  expect(await must(histories.read('gone'))).toBeNull();
  expect(await must(histories.read('routed'))).not.toBeNull();
  await look();
  expect(left()).toEqual({ intents: ['routed', 'there'], releases: [] });
});

test('time that has not expired by the checked clock forgets nothing', async () => {
  const { clock, look, left } = await begin();
  await clock.advance(10 * FORGET_MS);
  await look({ due: START });
  expect(left().intents).toContain('gone');
});

test('while ZooKeeper is away nothing goes, and it goes on after', async () => {
  const { clock, truth, look, left } = await begin();
  await clock.advance(FORGET_MS);
  truth.away = 'away';
  await look();
  expect(left().intents).toContain('gone');
  truth.away = null;
  await look();
  expect(left().intents).not.toContain('gone');
});
