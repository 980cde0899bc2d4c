import { expect, test } from 'vitest';
import { NO_INTENT } from '../../model/intent.js';
import type { IntentEdit, Term } from '../../model/ports.js';
import type { MutationContext } from '../../model/mutation.js';
import { ok } from '../../model/result.js';
import type { World } from '../../plan/world.js';
import { createFakeClock } from '../../testing/clock.js';
import { createRecordingLog } from '../../testing/log.js';
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

const store = (content: unknown): object => ({
  loss: () => 'its root is another one',
  acceptDataLoss: () => undefined,
  peek: () => Promise.resolve(ok(content)),
});

/** A world that holds a record of each of `services`. */
function knowing(services: readonly string[]): World {
  const intents = new Map(services.map((service) => [service, { service, record: NO_INTENT, etag: '' }]));
  return { wall: createFakeClock().wall(), membership: new Map(), intents } as unknown as World;
}

/** A loss that is not settled before `end` is called, and how often its acceptance began. */
function lost(more: Partial<DataLossDeps> = {}): {
  readonly loss: DataLoss;
  readonly begun: () => number;
  readonly end: () => void;
} {
  let begun = 0;
  const ends: (() => void)[] = [];
  const clock = createFakeClock();
  const deps = {
    registry: store({ instances: [], services: [], problems: [] }),
    intents: store(new Map()),
    roster: store(new Map()),
    releases: store(new Map()),
    running: () => [],
    freezes: store(new Map()),
    frozen: () => null,
    histories: store(new Map()),
    history: () => new Map(),
    gateways: () => new Map(),
    clock,
    log: createRecordingLog(),
    hold: () => null,
    world: () => knowing([]),
    published: () => new Map(),
    begin: () => {
      begun += 1;
    },
    ended: () =>
      new Promise<boolean>((resolve) => {
        ends.push(() => resolve(true));
      }),
    ...more,
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

test('kept histories are written back with their records, each in a transaction of its own; without keeping they are begun anew', async () => {
  const event = (message: string) =>
    ({ at: '2026-05-01T11:00:00Z', event: 'isolated', by: 'ann', message }) as const;
  for (const keep of [true, false]) {
    const batches: (readonly IntentEdit[])[] = [];
    const { loss, begun } = lost({
      history: () => new Map([['shop', [event('first'), event('second')]]]),
      histories: store(new Map([['shop', { events: [event('first')], etag: '"5-1"' }]])) as never,
      published: () => new Map(),
      world: () => knowing(['cart', 'shop']),
      intents: {
        ...store(new Map()),
        write: (_term: Term, edits: readonly IntentEdit[]) => {
          batches.push(edits);
          return Promise.resolve(ok([]));
        },
      } as never,
    });
    void loss.accept(accept(keep), CONTEXT);
    await expect.poll(begun).toBe(1);
    expect(await loss.settle({ epoch: 1, version: 1 })).toEqual(ok(null));
    const written = batches.map((edits) => edits.map(({ service, history }) => [service, history]));
    const shop = { etag: '"5-1"', events: [event('first'), event('second')] };
    expect(written).toEqual(
      keep
        ? [[['shop', shop]], [['cart', undefined]]]
        : [
            [
              ['cart', undefined],
              ['shop', undefined],
            ],
          ],
    );
  }
});

test('a history that alone is gone is begun anew, once every store has looked; one of a whole that is lost waits', () => {
  for (const [others, state, accepted] of [
    ['lost', 'connected', 0],
    [null, 'degraded', 0],
    [null, 'connected', 1],
  ] as const) {
    let asked = 0;
    const other = { ...store(new Map()), loss: () => others };
    const { loss } = lost({
      ...({ registry: other, intents: other, roster: other, releases: other, freezes: other } as object),
      zookeeper: () => ({ state, since: 0, detail: '' }),
      histories: { ...store(new Map()), acceptDataLoss: () => (asked += 1) } as never,
    });
    loss.tendHistories();
    expect(asked).toBe(accepted);
  }
});

test('who began after the loss takes no acceptance before Redis has told which gateways there may be', async () => {
  const { loss, begun } = lost({ gateways: () => null });
  expect(await loss.accept(accept(true), CONTEXT)).toMatchObject({ ok: false, error: { code: 'not_ready' } });
  expect(begun()).toBe(0);
});
