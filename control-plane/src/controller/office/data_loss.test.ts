import { expect, test } from 'vitest';
import { NO_INTENT } from '../../model/intent.js';
import type { IntentEdit, Term } from '../../model/ports.js';
import type { MutationContext } from '../../model/mutation.js';
import { ok } from '../../model/result.js';
import { buildView } from '../../testing/builders.js';
import { createFakeClock } from '../../testing/clock.js';
import { createRecordingLog } from '../../testing/log.js';
import { DataLoss, type DataLossDeps } from './data_loss.js';
import { LossSettlement, type LossStores } from './loss_settlement.js';

const CONTEXT: MutationContext = {
  by: 'ann',
  reason: 'disk died',
  dry_run: false,
  force: false,
  if_match: null,
  idempotency_key: null,
  expires_ms: null,
};
const store = (content: unknown): object => ({
  loss: () => 'its root is another one',
  acceptDataLoss: () => undefined,
  peek: () => Promise.resolve(ok(content)),
});

const STORES = {
  registry: store(buildView([])),
  intents: store(new Map()),
  roster: store(new Map()),
  releases: store(new Map()),
  freezes: store(new Map()),
  histories: store(new Map()),
};

interface Given {
  readonly stores?: object;
  readonly inputs?: object;
  readonly zookeeper?: DataLossDeps['zookeeper'];
}

/** A loss whose publications end when `end` is called, and how often its acceptance began. */
function lost(given: Given = {}): {
  readonly loss: DataLoss;
  readonly settlement: LossSettlement;
  readonly accept: (keep: boolean, more?: Partial<MutationContext>) => ReturnType<DataLoss['accept']>;
  readonly begun: () => number;
  readonly end: () => void;
} {
  let begun = 0;
  const ends: (() => void)[] = [];
  const clock = createFakeClock();
  const stores = { ...STORES, ...given.stores } as unknown as LossStores;
  const settlement = new LossSettlement({
    ...{ stores, membership: () => new Map(), clock, log: createRecordingLog() },
  });
  const deps = {
    ...{ stores, settlement, clock },
    leadership: { suspended: null },
    publication: { state: 'open', remembered: new Map(), acceptLoss: () => undefined },
    inputs: {
      ...{ intents: new Map(), history: new Map(), running: [], storedFreeze: null },
      ...{ fleet: { before: () => new Map() }, ...given.inputs },
    },
    passes: { urge: () => undefined, until: () => new Promise<void>((resolve) => ends.push(resolve)) },
    zookeeper: given.zookeeper,
  } as unknown as DataLossDeps;
  const loss = new DataLoss(deps);
  return {
    ...{ loss, settlement, begun: () => begun, end: () => ends.forEach((end) => end()) },
    accept: (keep_intents, more = {}) =>
      loss.accept({ kind: 'accept_data_loss', keep_intents }, { ...CONTEXT, ...more }, () => (begun += 1)),
  };
}

test('while one acceptance runs, another word on the intents is refused, and the same one joins it', async () => {
  const { accept, begun, end } = lost();
  // Both at once, and one after.
  const first = accept(true);
  const second = await accept(false);
  expect(second).toMatchObject({ ok: false, error: { code: 'conflict', field: 'keep_intents' } });
  expect(await accept(false, { dry_run: true })).toMatchObject({ ok: false });
  const same = accept(true);
  await expect.poll(begun).toBe(1);
  await accept(true, { dry_run: true });
  end();
  expect([await first, await same]).toMatchObject([{ ok: true }, { ok: true }]);
  expect(begun()).toBe(1);
});

test('kept histories are written back with their records, each in a transaction of its own; without keeping they are begun again', async () => {
  const event = (message: string) =>
    ({ at: '2026-05-01T11:00:00Z', event: 'isolated', by: 'ann', message }) as const;
  for (const keep of [true, false]) {
    const batches: (readonly IntentEdit[])[] = [];
    const { settlement, accept, begun } = lost({
      inputs: {
        intents: new Map(
          ['cart', 'shop'].map((service) => [service, { service, record: NO_INTENT, etag: '' }]),
        ),
        history: new Map([['shop', [event('first'), event('second')]]]),
      },
      stores: {
        histories: store(new Map([['shop', { events: [event('first')], etag: '"5-1"' }]])),
        intents: {
          ...store(new Map()),
          write: (_term: Term, edits: readonly IntentEdit[]) => {
            batches.push(edits);
            return Promise.resolve(ok([]));
          },
        },
      },
    });
    void accept(keep);
    await expect.poll(begun).toBe(1);
    expect(await settlement.settle({ epoch: 1, version: 1 })).toEqual(ok(null));
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

test('a history that alone is gone is begun again, once every store has looked; one of a whole that is lost waits', () => {
  for (const [others, state, accepted] of [
    ['lost', 'connected', 0],
    [null, 'degraded', 0],
    [null, 'connected', 1],
  ] as const) {
    let asked = 0;
    const other = { ...store(new Map()), loss: () => others };
    const { loss } = lost({
      stores: {
        ...{ registry: other, intents: other, roster: other, releases: other, freezes: other },
        histories: { ...store(new Map()), acceptDataLoss: () => (asked += 1) },
      },
      zookeeper: () => ({ state, since: 0, detail: '' }),
    });
    loss.tendHistories();
    expect(asked).toBe(accepted);
  }
});

test('who began after the loss takes no acceptance before Redis has shown which gateways there may be', async () => {
  const { accept, begun } = lost({ inputs: { fleet: { before: () => null } } });
  expect(await accept(true)).toMatchObject({ ok: false, error: { code: 'not_ready' } });
  expect(begun()).toBe(0);
});
