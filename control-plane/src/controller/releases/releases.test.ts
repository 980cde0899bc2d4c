import { expect, it } from 'vitest';
import type { HeardGateway } from '../../model/gateway.js';
import type { ReleaseRecord, ReleaseTraffic, ServiceReleases } from '../../model/release.js';
import type { WeightedStrategy } from '../../model/release_strategy.js';
import type { Term } from '../../model/ports.js';
import type { Member } from '../../plan/membership.js';
import { trafficOf } from '../../plan/release/traffic.js';
import type { World } from '../../plan/world.js';
import { buildHeartbeat, buildRegistration } from '../../testing/builders.js';
import { createFakeClock, type FakeClock } from '../../testing/clock.js';
import { createRecordingLog } from '../../testing/log.js';
import { MemoryGateways } from '../../testing/memory/gateways.js';
import { MemoryOutside } from '../../testing/memory/hooks.js';
import { MemoryTruth } from '../../testing/memory/truth.js';
import { must } from '../../testing/must.js';
import { buildCounts, buildRelease, buildWeighted } from '../../testing/releases.js';
import { Releases, type ReleaseDeps } from './releases.js';

/*
 * The shell by the clock: what is written when, and from when on counters are a release's own. Its ports are in memory; the
 * real ones are in the tests of servers and in those from end to end.
 */

const START = Date.parse('2026-05-01T13:00:00Z');
const SERVICES = ['shop', 'cart'];

const NO_PROMETHEUS = {
  ...{ offered: false, start: () => Promise.resolve(), close: () => Promise.resolve() },
};

/** A controller with one gateway that obeys everything, and a ready instance of v1 and of v2 in each service. */
class Controller {
  readonly clock: FakeClock = createFakeClock(START);
  readonly releases: Releases;
  /** Every record that was written, oldest first. */
  readonly written: ReleaseRecord[] = [];
  readonly gateways = new MemoryGateways(this.clock);
  readonly #truth = new MemoryTruth();
  readonly #store = this.#truth.releases();
  #term: Term | null = null;
  #shown: ReadonlyMap<string, ServiceReleases> = new Map();
  #traffic: ReadonlyMap<string, ReleaseTraffic> = new Map();

  constructor() {
    const { clock } = this;
    this.#store.onChange((shown) => {
      for (const [service, { current }] of shown)
        if (current && current !== this.#shown.get(service)?.current) this.written.push(current.record);
      this.#shown = shown;
      this.#traffic = trafficOf(shown, this.#traffic);
    });
    const deps = {
      ...{ store: this.#store, clock, intents: this.#truth.intents(), reader: this.gateways.traffic() },
      ...{ log: createRecordingLog(), settings: { drainTimeoutMs: 1_000 } },
      ...{ hooks: new MemoryOutside(clock).hooks(), prometheus: NO_PROMETHEUS },
      ...{
        newId: () => 'run-1',
        truthLink: () => ({ state: 'connected', since: 0 }),
        world: () => this.world(),
      },
      inputs: this.#inputs(),
      ...{ compilation: { isInForce: () => true }, wake: () => undefined },
    };
    // What a look needs is here; the rest of the ports is for the API.
    this.releases = new Releases(deps as unknown as ReleaseDeps);
  }

  async start(): Promise<void> {
    this.#term = await must(this.#truth.office('this one').take(1));
    await this.#store.start();
    await this.releases.start();
  }

  #inputs(): object {
    const releases = (): ReadonlyMap<string, ServiceReleases> => this.#shown;
    const traffic = (): ReadonlyMap<string, ReleaseTraffic> => this.#traffic;
    return {
      get releases() {
        return releases();
      },
      get traffic() {
        return traffic();
      },
      get running() {
        return [...releases().values()].flatMap(({ current }) => current ?? []);
      },
    };
  }

  /** A person begins a release. */
  async begin(record: ReleaseRecord): Promise<void> {
    const edit = { service: record.service, etag: null, current: record, archive: null };
    await must(this.#store.write(this.#term!, [edit]));
  }
  present(service: string): ReleaseRecord | undefined {
    return this.#shown.get(service)?.current?.record;
  }

  /** One second later: a pass, and what it read. */
  async second(): Promise<void> {
    await this.clock.advance(1_000);
    await this.releases.run(this.world(), this.#term);
    await new Promise((done) => setImmediate(done));
  }

  world(): World {
    const member = (id: string, version: string): [string, Member] => [
      id,
      { registration: buildRegistration({ id, version }), presence: 'present', since: 0, vanished_at: null },
    ];
    const heartbeat = buildHeartbeat({ id: 'g1', applied: { epoch: 1, generation: 1 } });
    const heard = new Map<string, HeardGateway>([['g1', { heartbeat, changed_at: 0 }]]);
    const published = { epoch: 1, generation: 1, document: { peers: [] } };
    return {
      ...{ frozen: null, wall: this.clock.wall(), epoch: 1, intents: new Map(), compiled: new Map() },
      published: new Map(SERVICES.map((service) => [service, published])) as never,
      membership: new Map(
        SERVICES.map((service) => [service, new Map([member('a', 'v1'), member('b', 'v2')])]),
      ),
      ...{ unsettled: new Set(), damaged: new Map(), holds: new Map() },
      ...{
        problems: [],
        found: [],
        problems_since: new Map(),
        clashes: [],
        history: new Map(),
        recent: new Map(),
      },
      witnesses: {
        ...{ roster: new Map(), now: 0, silent_ms: 5_000, left: new Map(), shared: new Set() },
        ...{ fleet: { complete: true, listed: new Map(), heard }, unready: null, learning: false },
      },
    };
  }
}

const soakOf = (for_ms: number): WeightedStrategy =>
  buildWeighted([{ weight: 10 }, { pause: { for_ms } }, { weight: 100 }]);

it('what was counted is written every five seconds, also after the clock was set back', async () => {
  const controller = new Controller();
  await controller.start();
  const soaking = { state: 'progressing', phase: 'soaking', step: 1, shares: { v1: 90, v2: 10 } } as const;
  await controller.begin(buildRelease({ ...soaking, looked_at: START, strategy: soakOf(3_600_000) }));
  for (let n = 0; n < 60; n += 1) await controller.second();
  expect(controller.written.length).toBeGreaterThan(8);
  controller.clock.setWall(controller.clock.wall() - 3_600_000);
  const before = controller.written.length;
  for (let n = 0; n < 600; n += 1) await controller.second();
  expect(controller.written.length - before).toBeGreaterThan(80);
  expect(controller.written.at(-1)?.observed_ms).toBeGreaterThan(650_000);
});

it.each(['alone', 'beside another release'])(
  'failures of before a release, %s, do not move its fast gate',
  async (how) => {
    const controller = new Controller();
    await controller.start();
    const paused = { cause: 'step', by: 'ann', message: '', state: 'progressing', phase: 'soaking' } as const;
    if (how !== 'alone') await controller.begin(buildRelease({ state: 'paused', paused, looked_at: START }));
    // v1 and v2 of cart serve by weights, and every request of v2 fails.
    let [seq, failed] = [0, 1_000];
    const report = (): void => {
      const cart = { v1: buildCounts(1_000 + seq), v2: buildCounts(failed, failed) };
      controller.gateways.count({ gateway: 'g1', boot: 'a', seq: (seq += 1), services: { shop: {}, cart } });
    };
    for (let n = 0; n < 20; n += 1) {
      failed += 100;
      report();
      await controller.second();
    }
    // Mended; its release begins, and what is still on its way comes in for two seconds more.
    const now = controller.clock.wall();
    const begun = { id: 'rel-2', service: 'cart', at: new Date(now).toISOString(), looked_at: now };
    await controller.begin(buildRelease({ ...begun, strategy: soakOf(60_000) }));
    for (let n = 0; n < 8; n += 1) {
      failed += n < 2 ? 100 : 0;
      report();
      await controller.second();
    }
    expect(controller.present('cart')).toMatchObject({ state: 'progressing', step: 1 });
  },
);
