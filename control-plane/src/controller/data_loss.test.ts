import { expect, test } from 'vitest';
import type { MutationContext } from '../model/resources.js';
import { ok } from '../model/result.js';
import type { World } from '../plan/world.js';
import { createFakeClock } from '../testing/clock.js';
import { createRecordingLog } from '../testing/log.js';
import { DataLoss, type DataLossDeps } from './data_loss.js';

const CONTEXT: MutationContext = {
  by: 'ann',
  reason: 'disk died',
  dry_run: false,
  force: false,
  if_match: null,
  idempotency_key: null,
  expires_ms: null,
};
const accept = (keep_intents: boolean) => ({ kind: 'accept_data_loss', keep_intents }) as const;

/** A loss that is not settled before `end` is called, and how often its acceptance began. */
function lost(): { readonly loss: DataLoss; readonly begun: () => number; readonly end: () => void } {
  let begun = 0;
  const ends: (() => void)[] = [];
  const store = (content: unknown): object => ({
    loss: () => 'its root is another one',
    acceptDataLoss: () => undefined,
    peek: () => Promise.resolve(ok(content)),
  });
  const clock = createFakeClock();
  const world = { wall: clock.wall(), membership: new Map(), intents: new Map() };
  const deps = {
    registry: store({ instances: [], services: [], problems: [] }),
    intents: store(new Map()),
    roster: store(new Map()),
    releases: store(new Map()),
    running: () => [],
    freezes: store(new Map()),
    frozen: () => null,
    clock,
    log: createRecordingLog(),
    hold: () => null,
    world: () => ({ ...world, witnesses: { roster: new Map() } }) as unknown as World,
    published: () => new Map(),
    begin: () => {
      begun += 1;
    },
    ended: () =>
      new Promise<boolean>((resolve) => {
        ends.push(() => resolve(true));
      }),
  } as unknown as DataLossDeps;
  return { loss: new DataLoss(deps), begun: () => begun, end: () => ends.forEach((end) => end()) };
}

test('while one acceptance runs, another word on the wishes is refused, and the same one joins it', async () => {
  const { loss, begun, end } = lost();
  // Both at once, and one after.
  const first = loss.accept(accept(true), CONTEXT);
  const second = await loss.accept(accept(false), CONTEXT);
  expect(second).toMatchObject({ ok: false, error: { code: 'conflict', field: 'keep_intents' } });
  expect(await loss.accept(accept(false), { ...CONTEXT, dry_run: true })).toMatchObject({ ok: false });
  const same = loss.accept(accept(true), CONTEXT);
  await expect.poll(begun).toBe(1);
  await loss.accept(accept(true), { ...CONTEXT, dry_run: true });
  end();
  expect([await first, await same]).toMatchObject([{ ok: true }, { ok: true }]);
  expect(begun()).toBe(1);
});
