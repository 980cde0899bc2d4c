import { expect, test } from 'vitest';
import {
  createRecordCodec,
  buildHeartbeat,
  buildRegistration,
  type Controller,
  type ControllerDeps,
  createRecordingLog,
  err,
  type FleetReport,
  type HeardGateway,
  type Lifecycle,
  loadController,
  MemoryElections,
  MemoryTruth,
  MemorySets,
  NO_INTENT,
  ok,
  type Registration,
  type RegistryState,
  type RosterEntry,
  type StoredIntent,
  type Term,
  systemClock as clock,
} from '../control-plane/src/testkit.js';

/*
 * What one pass of the controller costs, and the reads that go over everything: 1,000 services of 10 instances, then 2,000 of 50,
 * 50 gateways. The stores answer from memory, at once, so what is measured is the controller alone.
 */

const SIZES = [
  { services: 1_000, instances: 10 },
  { services: 2_000, instances: 50 },
] as const;
const GATEWAYS = 50;
const PASSES = 40;

const product = await loadController();
const life = (): Lifecycle => ({
  start: () => Promise.resolve(),
  close: () => Promise.resolve(),
  [Symbol.asyncDispose]: () => Promise.resolve(),
});
const fine = { state: 'connected' as const, since: 0, detail: '' };

/** A controller over memory, and the hands that feed it. */
function stage(services: readonly string[]) {
  let sendView: (state: RegistryState) => void = () => undefined;
  let sendIntents: (intents: ReadonlyMap<string, StoredIntent>) => void = () => undefined;
  let sendRoster: (roster: ReadonlyMap<string, RosterEntry>) => void = () => undefined;
  let sendFleet: (report: FleetReport) => void = () => undefined;
  let term: Term | null = null;
  /** Nothing is ever lost here. */
  const whole = {
    loss: () => null,
    acceptDataLoss: () => undefined,
    peek: () => Promise.resolve(err('never asked')),
  };
  const undamaged = {
    damaged: () => new Map<string, string>(),
    pathOf: (name: string) => name,
    problem: () => null,
  };
  const deps: ControllerDeps = {
    registry: { ...life(), ...whole, onState: (listener) => (sendView = listener) },
    election: new MemoryElections().election({ id: 'bench', address: null, version: '', started_at: '' }),
    office: {
      take: (floor) => {
        term = { epoch: Math.max(1, floor), version: (term?.version ?? 0) + 1 };
        return Promise.resolve(ok(term));
      },
      present: () => Promise.resolve(ok(term && { ...term, ours: true })),
      isPresent: () => Promise.resolve(ok(true)),
    },
    audit: new MemoryTruth().audit(),
    copyPlaces: [],
    recordCodec: createRecordCodec(),
    intents: {
      noun: 'intents',
      ...life(),
      ...whole,
      onChange: (listener) => (sendIntents = listener),
      ...undamaged,
      read: (service) => Promise.resolve(ok(intents.get(service) ?? null)),
      write: () => Promise.resolve(ok([])),
    },
    histories: {
      noun: 'histories',
      ...life(),
      ...whole,
      ...undamaged,
      onChange: () => undefined,
      read: () => Promise.resolve(ok(null)),
      write: () => Promise.resolve(ok([])),
    },
    tokens: {
      noun: 'tokens',
      ...life(),
      ...whole,
      ...undamaged,
      onChange: () => undefined,
      read: () => Promise.resolve(ok(null)),
      write: () => Promise.resolve(ok([])),
    },
    apiConsumers: {
      noun: 'consumers',
      ...life(),
      ...whole,
      ...undamaged,
      onChange: (listener) => {
        listener(new Map());
      },
      read: () => Promise.resolve(ok(null)),
      write: () => Promise.resolve(ok([])),
    },
    roster: {
      noun: 'roster',
      ...life(),
      ...whole,
      ...undamaged,
      onChange: (listener) => (sendRoster = listener),
      read: () => Promise.resolve(ok(null)),
      write: () => Promise.resolve(ok([])),
    },
    releases: {
      noun: 'releases',
      ...life(),
      ...whole,
      read: () => Promise.resolve(ok(null)),
      onChange: (listener) => {
        listener(new Map());
      },
      write: () => Promise.resolve(ok([])),
      ...undamaged,
    },
    freezes: {
      noun: 'freezes',
      ...life(),
      ...whole,
      read: () => Promise.resolve(ok(null)),
      onChange: (listener) => {
        listener(new Map());
      },
      write: () => Promise.resolve(ok([])),
      ...undamaged,
    },
    traffic: { ...life(), read: () => Promise.resolve(ok([])) },
    newReleaseId: () => 'rel-1',
    hooks: product.createHooks({ prefixes: [], commands: '', path: '', clock }),
    prometheus: product.createPrometheus('', clock),
    consumers: {
      refused: () => new Map(),
      ...life(),
      follow: () => undefined,
    },
    publisher: new MemorySets(clock).publisher(),
    feedback: {
      ...life(),
      state: () => fine,
      onReport: (listener) => (sendFleet = listener),
      forget: () => Promise.resolve(),
      forgetNeverHeard: () => Promise.resolve(ok(0)),
    },
    truthView: { heardAt: () => 0, caughtUp: () => Promise.resolve() },
    truthLink: () => fine,
    probeTruth: () => Promise.resolve(null),
    accessProblems: () => [],
    storeClocks: {
      zookeeper: () => Promise.resolve(ok(clock.wall())),
      redis: () => Promise.resolve(ok(clock.wall())),
    },
    clock,
    log: createRecordingLog(),
    newId: () => 'op-1',
    settings: {
      ...{ settleMs: 20_000, suspectMs: 60_000, gatewaySilentMs: 600_000, drainTimeoutMs: 600_000 },
      clockBoundMs: 30_000,
      forgetMs: 2_592_000_000,
      tombstoneMs: 600_000,
      contractMost: 2,
    },
  };
  const intents = new Map<string, StoredIntent>(
    services.map((service) => [service, { service, record: NO_INTENT, etag: '1-1' }]),
  );
  return {
    controller: new product.Controller(deps),
    intents,
    view: (instances: Registered) => {
      sendView({ status: 'complete', view: { instances, problems: [], unread: [], services }, gap: false });
    },
    newIntents: () => {
      sendIntents(intents);
    },
    roster: (roster: ReadonlyMap<string, RosterEntry>) => {
      sendRoster(roster);
    },
    fleet: (heard: ReadonlyMap<string, HeardGateway>) => {
      sendFleet({ complete: true, heard: new Map(heard), listed: new Map() });
    },
  };
}

function names(count: number): readonly string[] {
  return Array.from({ length: count }, (_, n) => `service-${String(n)}`);
}

function fleet(): Map<string, HeardGateway> {
  return new Map(
    Array.from({ length: GATEWAYS }, (_, n) => {
      const id = `g-${String(n)}`;
      return [id, { heartbeat: buildHeartbeat({ id }), changed_at: clock.monotonic() }];
    }),
  );
}

type Registered = ReadonlyMap<string, ReadonlyMap<string, Registration>>;

function byId(registrations: readonly Registration[]): ReadonlyMap<string, Registration> {
  return new Map(registrations.map((one) => [one.id, one]));
}

/** Milliseconds on a core, all threads of this process, per round: `change`, and the pass that it causes. */
async function perPass(controller: Controller, change: (round: number) => void): Promise<number> {
  const before = process.cpuUsage();
  for (let round = 0; round < PASSES; round += 1) {
    change(round);
    await controller.plane.changed(AbortSignal.timeout(5_000));
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / PASSES;
}

/** Milliseconds of one call, the best of some. */
function perCall(call: () => unknown): number {
  const times = Array.from({ length: 5 }, () => {
    const began = performance.now();
    call();
    return performance.now() - began;
  });
  return Math.min(...times);
}

/** Measures everything; rows of what was done, and the milliseconds it took. */
async function measureAll(size: (typeof SIZES)[number]): Promise<readonly (readonly [string, number])[]> {
  const services = names(size.services);
  const made = stage(services);
  const { controller } = made;
  await controller.start();
  const registered = services.map((service, s) =>
    Array.from({ length: size.instances }, (_, n) =>
      buildRegistration({ service, host: `10.${String(s % 256)}.${String(s >> 8)}.${String(n + 1)}` }),
    ),
  );
  const instances: Registered = new Map(services.map((service, s) => [service, byId(registered[s]!)]));
  const heard = fleet();
  made.newIntents();
  const entry = (id: string): RosterEntry => ({ id, boot: buildHeartbeat().boot, host: '', since: '' });
  made.roster(new Map([...heard.keys()].map((id) => [id, entry(id)])));
  made.fleet(heard);
  const rows: [string, number][] = [];
  const measure = async (what: string, change: (round: number) => void): Promise<void> => {
    rows.push([what, await perPass(controller, change)]);
  };
  made.view(instances);
  while (!controller.plane.readiness().ready || controller.plane.set('service-1') === undefined)
    await controller.plane.changed(AbortSignal.timeout(5_000));
  await measure('warming up', () => {
    made.fleet(heard);
  });
  rows.length = 0;
  await measure('nothing changed, one heartbeat more', () => {
    const [id, last] = [...heard][0]!;
    const heartbeat = { ...last.heartbeat, seq: last.heartbeat.seq + 1 };
    heard.set(id, { heartbeat, changed_at: clock.monotonic() });
    made.fleet(heard);
  });
  await measure('the same view again', () => {
    made.view(new Map(instances));
  });
  await measure('one instance changed', (round) => {
    const [first, ...others] = registered[5]!;
    made.view(new Map(instances).set('service-5', byId([{ ...first!, weight: 1 + round }, ...others])));
  });
  await measure('all instances read again, equal', () => {
    made.view(
      new Map(services.map((service, s) => [service, byId(registered[s]!.map((one) => ({ ...one })))])),
    );
  });
  rows.push(
    ['GET services', perCall(() => controller.plane.services())],
    ['GET instances of one service', perCall(() => controller.plane.instances('service-7'))],
    ['GET operations', perCall(() => controller.plane.operations())],
  );
  await controller.close();
  return rows;
}

// While the file is read, so that it runs as a benchmark and as a test alike.
const found: (readonly (readonly [string, number])[])[] = [];
for (const size of SIZES) {
  const rows = await measureAll(size);
  console.log(`${size.services} services of ${size.instances}`);
  console.log(rows.map(([what, ms]) => `${what.padEnd(40)} ${ms.toFixed(2).padStart(8)} ms`).join('\n'));
  found.push(rows);
}

test('a pass in which nothing changed costs less than 10 ms, whatever the number of instances', () => {
  for (const rows of found) expect(rows[0]![1]).toBeLessThan(10);
});
