import { ok } from 'node:assert/strict';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type ReleaseRecord, type Shares, VERBS, type Verb, hasEnded } from '../../model/release.js';
import type { CallOutcome } from '../../model/release_strategy.js';
import type { InstanceFacts, ReleaseFacts } from '../../model/release_facts.js';
import { draws } from '../../testing/draws.js';
import {
  buildCounts,
  buildFacts,
  buildInPlace,
  buildInstanceFacts,
  progressOf,
  RELEASE_AT,
} from '../../testing/releases.js';
import { advance } from './advance.js';
import { wantedCall } from './asks.js';
import { drainedBy } from './strategy/in_place/batch.js';
import { servingIn } from './strategy/in_place/choose.js';
import { obey } from './verbs.js';

/*
 * Whole histories of releases in place: a controller that looks, writes, calls and dies; gateways that follow late and have
 * requests; instances that die, come back, or come back as what they were; operators who drain by hand; people who say anything.
 */

const MAX_UNAVAILABLE = 2;
const MIN_AVAILABLE = 2;
const IDS = ['i1', 'i2', 'i3', 'i4', 'i5'] as const;

interface Instance {
  version: string;
  alive: boolean;
  out_of_use: boolean;
  unhealthy: boolean;
  open: number;
}
interface Published {
  readonly shares: Shares;
  readonly draining: readonly string[];
}
const setOf = (record: ReleaseRecord): Published => ({ shares: record.shares, draining: drainedBy(record) });
const same = (a: Published, b: Published): boolean => JSON.stringify(a) === JSON.stringify(b);

class World {
  written: ReleaseRecord;
  intent_shares: Shares;
  published: Published;
  obeyed: Published;
  blocked_by: readonly string[] = [];
  now = RELEASE_AT;
  /** v2 does not come up. */
  broken = false;
  /** The hook gives no answer, though it may have acted. */
  mute = false;
  refusing = false;
  /** It takes calls, and acts later. */
  slow = false;
  /** Left out at some time: what its upgrade does after that is nobody's concern. */
  readonly #givenUp = new Set<string>();
  readonly #pending = new Map<string, string>();
  readonly instances = new Map<string, Instance>(
    IDS.map((id) => [id, { version: 'v1', alive: true, out_of_use: false, unhealthy: false, open: 2 }]),
  );
  /** Key → the body that came with it; and how often it was acted on. */
  readonly bodies = new Map<string, string>();
  readonly acted = new Map<string, number>();
  readonly begun: string[] = [];
  readonly wrong: string[] = [];
  #working: ReleaseRecord | null = null;
  #outcomes = new Map<string, CallOutcome>();
  #writtenAt = 0;
  #run = 0;

  constructor(intent_shares: Shares = {}, soak_ms = 0, max_failed = 0) {
    this.intent_shares = intent_shares;
    this.written = buildInPlace(
      { gates: { ...buildInPlace().gates, on_inconclusive: 'pass' } },
      { batch: { count: 3 }, max_unavailable: { count: MAX_UNAVAILABLE }, soak_ms, max_failed },
    );
    this.published = setOf(this.written);
    this.obeyed = this.published;
  }

  crash(): void {
    this.#working = null;
    this.#outcomes = new Map();
    this.#run += 1;
  }

  facts(record: ReleaseRecord): ReleaseFacts {
    const published = same(this.published, setOf(record));
    const obeyed = published && same(this.obeyed, this.published);
    const instances = [...this.instances].map(([id, one]): InstanceFacts => {
      // An ack of this very set, or it proves nothing.
      const closed = same(this.obeyed, this.published) && this.published.draining.includes(id);
      const drained = (closed && one.open === 0) || !one.alive;
      return buildInstanceFacts(id, {
        version: one.version,
        presence: one.alive ? 'present' : 'gone',
        able: one.alive && !one.out_of_use,
        ready: one.alive,
        out_of_use: one.out_of_use ? 'drained by ann' : null,
        drained,
        undrained: drained ? [] : ['open requests'],
        unhealthy: one.unhealthy ? ['ejected on gateway g1'] : [],
      });
    });
    const ready: Record<string, number> = {};
    for (const one of instances) if (one.able) ready[one.version] = (ready[one.version] ?? 0) + 1;
    const key = wantedCall(record)?.key ?? '';
    return buildFacts({
      ...{
        instances,
        ready,
        published,
        intent_shares: this.intent_shares,
        blocked_by: this.blocked_by,
        recent: null,
      },
      behind: obeyed ? [] : ['gateway g1 is behind'],
      min_available: MIN_AVAILABLE,
      watcher: `run-${String(this.#run)}`,
      totals: { v1: buildCounts(0), v2: buildCounts(0) },
      call: this.#outcomes.get(key) ?? null,
    });
  }

  /** One pass. `die` says at which of its writes the controller is killed: before it, after it, or between it and the call. */
  pass(die: 'no' | 'before' | 'after' | 'called' = 'no'): void {
    const record = this.#working?.rev === this.written.rev ? this.#working : this.written;
    this.published = setOf(this.written);
    const facts = this.facts(record);
    const result = advance(record, facts, this.now);
    this.#working = result.record;
    const due = result.moved || this.now - this.#writtenAt >= 5_000;
    if ((due || result.write_shares) && die === 'before') {
      this.crash();
      return;
    }
    if (due) this.write(result.record, facts);
    if (result.write_shares) this.intent_shares = result.write_shares;
    if (die === 'after') this.crash();
    else this.#call(die === 'called');
  }

  write(next: ReleaseRecord, facts: ReleaseFacts): void {
    const before = this.written;
    this.written = next;
    this.#writtenAt = this.now;
    if (next.events === before.events) return;
    this.#check(before, next, facts);
  }

  #check(before: ReleaseRecord, next: ReleaseRecord, facts: ReleaseFacts): void {
    for (const { id } of progressOf(next).left_out) this.#givenUp.add(id);
    const drained = drainedBy(next);
    if (drained.length > MAX_UNAVAILABLE) this.wrong.push(`${String(drained.length)} are drained`);
    const fresh = drained.filter((id) => !drainedBy(before).includes(id));
    const able = facts.instances.filter((one) => one.able);
    const cost = able.filter((one) => fresh.includes(one.id) && servingIn(before, facts)(one));
    const left = able.filter((one) => !drained.includes(one.id) && servingIn(next, facts)(one));
    if (cost.length > 0 && left.length < MIN_AVAILABLE)
      this.wrong.push(`${cost.map(({ id }) => id).join()} drained, and ${String(left.length)} are left`);
    const last = next.events.at(-1);
    if (last?.event === 'batch_begun' && last !== before.events.at(-1)) this.begun.push(String(next.step));
    if (next.step < before.step) this.wrong.push('a step back');
  }

  #call(dies: boolean): void {
    const call = wantedCall(this.written);
    if (!call || this.#outcomes.has(call.key)) return;
    const text = JSON.stringify(call.body);
    if ((this.bodies.get(call.key) ?? text) !== text) this.wrong.push(`${call.key} shows another story`);
    if (!this.bodies.has(call.key) && !this.refusing)
      for (const { id } of call.body.instances) {
        const one = this.instances.get(id);
        if (one?.alive === true && one.open > 0) this.wrong.push(`${id} is upgraded with open requests`);
      }
    this.bodies.set(call.key, text);
    if (this.refusing) this.#outcomes.set(call.key, { outcome: 'refused', reason: 'no' });
    else
      this.#act(
        call.key,
        call.body.to,
        call.body.instances.map(({ id }) => id),
      );
    if (this.mute) this.#outcomes.delete(call.key);
    if (dies) this.crash();
  }

  /** A hook that knows its keys: the second time it answers only. */
  #act(key: string, to: string, ids: readonly string[]): void {
    this.#outcomes.set(key, { outcome: 'accepted', reason: '' });
    if (this.acted.has(key)) return;
    this.acted.set(key, 1);
    for (const id of ids) {
      const one = this.instances.get(id);
      // A new order takes the place of an older one; what is so already needs nothing.
      this.#pending.delete(id);
      if (one && (one.version !== to || !one.alive)) this.#pending.set(id, to);
    }
    if (!this.slow) this.#restart();
  }

  /** The hook does what it was asked for. Only whoever was given up may contain requests by then. */
  #restart(): void {
    for (const [id, to] of this.#pending) {
      const one = this.instances.get(id);
      if (!one) continue;
      // It has come up by itself meanwhile, as what was ordered: a release has counted it as upgraded.
      if (one.alive && one.version === to) continue;
      if (one.alive && one.open > 0 && !this.#givenUp.has(id) && !hasEnded(this.written.state))
        this.wrong.push(`${id} is restarted with open requests`);
      Object.assign(one, { version: to, alive: !(this.broken && to === 'v2'), open: 0, unhealthy: false });
    }
    this.#pending.clear();
  }

  say(verb: Verb): void {
    const facts = this.facts(this.written);
    const context = { by: 'ann', reason: '', idempotency_key: null, force: false };
    const done = obey(this.written, verb, context, facts, this.now);
    if (done.ok && done.value.changed) this.write(done.value.record, facts);
  }

  /** Time goes on, the gateways follow, requests end; others begin where they may. */
  live(ms: number, follow = true): void {
    this.now += ms;
    if (!this.slow) this.#restart();
    if (follow) this.obeyed = this.published;
    for (const [id, one] of this.instances) {
      const open = one.alive && !one.out_of_use && !this.obeyed.draining.includes(id);
      one.open = open ? 2 : Math.max(0, one.open - 1);
    }
  }
}

function finish(world: World, most = 600): void {
  for (let passes = 0; passes < most && !hasEnded(world.written.state); passes += 1) {
    world.live(1_000);
    world.pass();
    const { state, paused } = world.written;
    if (state === 'paused')
      world.say({
        verb: paused?.cause === 'gate' ? 'promote' : 'resume',
        expected_step: world.written.step,
        full: false,
      });
  }
}
const versionsIn = (world: World): readonly string[] =>
  [...world.instances.values()].map((one) => one.version);

it.each([
  ['a good target succeeds', false, 'succeeded', 'v2'],
  ['one that does not come up is rolled back', true, 'rolled_back', 'v1'],
] as const)(
  '%s, and so it does killed at every write: before it, after it, after its call',
  (_name, broken, state, version) => {
    const play = (at: number, die: 'no' | 'before' | 'after' | 'called'): World => {
      const world = new World({ v1: 100 }, 2_000);
      world.broken = broken;
      for (let passes = 0; passes < at && !hasEnded(world.written.state); passes += 1) {
        world.live(1_000);
        world.pass();
      }
      world.pass(die);
      finish(world);
      return world;
    };
    const plain = play(0, 'no');
    for (const die of ['before', 'after', 'called'] as const)
      for (let at = 0; at < 130; at += 1) {
        const world = play(at, die);
        expect(world.written, `${die} ${String(at)}`).toMatchObject({ state });
        expect(versionsIn(world)).toEqual(IDS.map(() => version));
        expect(world.intent_shares).toEqual({ [version]: 100 });
        expect(world.begun).toEqual(plain.begun);
        expect(new Set(world.begun).size).toBe(world.begun.length);
        expect([...world.bodies.keys()]).toEqual([...plain.bodies.keys()]);
        expect(world.wrong).toEqual([]);
      }
  },
);

type Act = (world: World) => void;
const verbs: fc.Arbitrary<Verb> = fc.record({
  verb: fc.constantFrom(...VERBS),
  expected_step: fc.option(fc.integer({ min: 0, max: 4 })),
  full: fc.boolean(),
});
const to = (act: Act): Act => act;
const changes = (change: (one: Instance) => void): fc.Arbitrary<Act> =>
  fc.constantFrom(...IDS).map((id) => (world) => {
    const one = world.instances.get(id);
    if (one) change(one);
  });
const acts: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.constant(
      to((w) => {
        w.pass();
      }),
    ),
  },
  {
    weight: 8,
    arbitrary: fc.tuple(fc.integer({ min: -500, max: 9_000 }), fc.boolean()).map(([ms, follow]) =>
      to((w) => {
        w.live(ms, follow);
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: verbs.map((verb) =>
      to((w) => {
        if (!hasEnded(w.written.state))
          w.say({
            ...verb,
            expected_step: verb.expected_step === null ? w.written.step : verb.expected_step,
          });
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('before', 'after', 'called').map((die) =>
      to((w) => {
        w.pass(die);
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constant(
      to((w) => {
        w.crash();
      }),
    ),
  },
  { weight: 1, arbitrary: changes((one) => Object.assign(one, { alive: false, open: 0 })) },
  { weight: 1, arbitrary: changes((one) => Object.assign(one, { alive: true })) },
  { weight: 1, arbitrary: changes((one) => Object.assign(one, { out_of_use: !one.out_of_use })) },
  { weight: 1, arbitrary: changes((one) => Object.assign(one, { unhealthy: !one.unhealthy })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean())
      .map(([broken, mute, refusing, slow]) =>
        to((w) => {
          Object.assign(w, { broken, mute, refusing, slow });
        }),
      ),
  },
  {
    weight: 1,
    arbitrary: fc.boolean().map((blocked_by) =>
      to((w) => {
        w.blocked_by = blocked_by ? ['protection'] : [];
      }),
    ),
  },
);
const worlds = fc.record({
  shared: fc.boolean(),
  soak: fc.constantFrom(0, 3_000),
  max_failed: fc.constantFrom(0, 1),
});

it(
  'whatever happens: never too many drained, never the last ready, no batch twice, one story per key, nothing upgraded that is not empty',
  { timeout: 300_000 },
  () => {
    fc.assert(
      fc.property(
        worlds,
        fc.array(acts, { minLength: 20, maxLength: 120 }),
        ({ shared, soak, max_failed }, history) => {
          const world = new World(shared ? { v1: 100 } : {}, soak, max_failed);
          for (const act of history) {
            const before = world.written;
            act(world);
            const after = world.written;
            ok(world.wrong.length === 0, world.wrong.join('; '));
            ok(after.rev >= before.rev && after.looked_at >= before.looked_at);
            if (hasEnded(before.state) && after !== before) expect(after).toEqual(before);
          }
          expect(new Set(world.begun).size).toBe(world.begun.length);
          // Whatever was done to it: everybody is back and well, the hook answers, and an abort brings it home.
          for (const one of world.instances.values())
            Object.assign(one, { alive: true, out_of_use: false, unhealthy: false });
          Object.assign(world, { broken: false, mute: false, refusing: false, slow: false, blocked_by: [] });
          if (hasEnded(world.written.state)) return;
          world.say({ verb: 'abort', expected_step: null, full: false });
          finish(world);
          expect(world.wrong).toEqual([]);
          expect(hasEnded(world.written.state)).toBe(true);
          if (progressOf(world.written).left_out.length === 0)
            expect(new Set(versionsIn(world))).toEqual(
              new Set([world.written.state === 'succeeded' ? 'v2' : 'v1']),
            );
        },
      ),
      { numRuns: draws(2_000, 8_000) },
    );
  },
);
