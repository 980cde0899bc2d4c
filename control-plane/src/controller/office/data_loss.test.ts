import { expect, test, vi } from 'vitest';
import { NO_INTENT } from '../../model/intent.js';
import type { MutationContext } from '../../model/mutation.js';
import { err, ok } from '../../model/result.js';
import { createFakeClock } from '../../testing/clock.js';
import { createRecordingLog } from '../../testing/log.js';
import { MemoryRegistry } from '../../testing/memory/registry.js';
import { MemoryTruth } from '../../testing/memory/truth.js';
import { must } from '../../testing/must.js';
import { DataLoss, type DataLossDeps } from './data_loss.js';
import { buildEntry, ORIGIN } from '../../testing/builders.js';
import { LossSettlement, type LossStores } from './loss_settlement.js';

const CONTEXT: MutationContext = {
  origin: ORIGIN,
  by: 'ann',
  services: '*',
  reason: 'disk died',
  dry_run: false,
  force: false,
  if_match: null,
  idempotency_key: null,
  expires_ms: null,
};
/** The stores of a controller that has read its installation, which is lost since then if `isLost`. */
function installation(isLost = true): { readonly truth: MemoryTruth; readonly stores: LossStores } {
  const [truth, registry] = [new MemoryTruth(), new MemoryRegistry()];
  const stores = {
    registry: registry.source(registry.nodes.link()),
    ...{ intents: truth.intents(), roster: truth.roster(), releases: truth.releases() },
    ...{ freezes: truth.freezes(), histories: truth.histories(), tokens: truth.tokens() },
    apiConsumers: truth.apiConsumers(),
  };
  for (const store of Object.values(stores)) void store.start();
  const audit = truth.audit();
  if (isLost) {
    truth.wipe();
    registry.nodes.wipe();
  }
  return { truth, stores: { ...stores, audit } };
}

interface Given {
  readonly stores?: LossStores;
  readonly inputs?: object;
  readonly truthLink?: DataLossDeps['truthLink'];
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
  const stores = given.stores ?? installation().stores;
  const settlement = new LossSettlement({
    ...{ stores, membership: () => new Map(), clock, log: createRecordingLog() },
  });
  const deps = {
    ...{ stores, settlement, clock },
    leadership: { suspended: null },
    publication: { state: 'open', remembered: new Map(), acceptLoss: () => undefined },
    inputs: {
      ...{ intents: new Map(), history: new Map(), running: [], storedFreeze: null, tokens: null },
      apiConsumers: null,
      ...{ fleet: { before: () => new Map() }, ...given.inputs },
    },
    passes: { urge: () => undefined, until: () => new Promise<void>((resolve) => ends.push(resolve)) },
    truthLink: given.truthLink,
    copiedAudit: () => Promise.resolve(0),
  } as unknown as DataLossDeps;
  const loss = new DataLoss(deps);
  return {
    ...{ loss, settlement, begun: () => begun, end: () => ends.forEach((end) => end()) },
    accept: (keep_intents, more = {}) =>
      loss.accept({ kind: 'accept_data_loss', keep_intents }, { ...CONTEXT, ...more }, (changes) => {
        begun += 1;
        return buildEntry({ verb: 'accept_data_loss', changes });
      }),
  };
}

test('while one acceptance runs, another word on the intents is refused, and the same one joins it', async () => {
  const { accept, begun, end } = lost();
  // Both at once, and one after, when the stores have been read again and show no loss any more.
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
    const { truth, stores } = installation();
    truth.write('histories', 'shop', [event('first')]);
    const etag = (await must(stores.histories.peek())).get('shop')!.etag;
    const written = vi.spyOn(stores.intents, 'write');
    const { settlement, accept, begun } = lost({
      inputs: {
        intents: new Map(
          ['cart', 'shop'].map((service) => [service, { service, record: NO_INTENT, etag: '' }]),
        ),
        history: new Map([['shop', [event('first'), event('second')]]]),
      },
      stores,
    });
    void accept(keep);
    await expect.poll(begun).toBe(1);
    const term = await must(truth.office('this one').take(1));
    expect(await settlement.settle(term)).toEqual(ok(null));
    const batches = written.mock.calls.map(([, edits]) =>
      edits.map(({ service, history }) => [service, history]),
    );
    const shop = { etag, events: [event('first'), event('second')] };
    expect(batches).toEqual(
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
    const { histories } = installation().stores;
    const asked = vi.spyOn(histories, 'acceptDataLoss');
    const { loss } = lost({
      stores: { ...installation(others === 'lost').stores, histories },
      truthLink: () => ({ state, since: 0, detail: '' }),
    });
    loss.tendHistories();
    expect(asked).toHaveBeenCalledTimes(accepted);
  }
});

test('who began after the loss takes no acceptance before Redis has shown which gateways there may be', async () => {
  const { accept, begun } = lost({ inputs: { fleet: { before: () => null } } });
  expect(await accept(true)).toMatchObject({ ok: false, error: { code: 'not_ready' } });
  expect(begun()).toBe(0);
});

test('an acceptance is recorded once, before anything is written back, however often that is tried', async () => {
  const { truth, stores } = installation();
  const { settlement, accept, begun } = lost({
    inputs: { intents: new Map([['shop', { service: 'shop', record: NO_INTENT, etag: '' }]]) },
    stores,
  });
  void accept(true);
  await expect.poll(begun).toBe(1);
  const term = await must(truth.office('this one').take(1));
  vi.spyOn(stores.intents, 'write').mockResolvedValueOnce(err({ kind: 'unavailable', reason: 'no answer' }));
  expect(await settlement.settle(term)).toEqual(err('the intents: unavailable'));
  expect(truth.records).toMatchObject([{ n: 1, verb: 'accept_data_loss' }]);
  expect(await settlement.settle(term)).toEqual(ok(null));
  expect(truth.records).toHaveLength(1);
});
