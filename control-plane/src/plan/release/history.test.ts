import { ok } from 'node:assert/strict';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type ReleaseRecord, type Shares, VERBS, type Verb, hasEnded } from '../../model/release.js';
import { draws } from '../../testing/draws.js';
import { buildCounts, buildFacts, buildRelease, RELEASE_AT, buildWeighted } from '../../testing/releases.js';
import { advance } from './advance.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { serving } from './facts.js';
import { giveBack, shareOf } from './shares.js';
import { obey } from './verbs.js';

/*
 * Whole histories: a controller that looks, writes, publishes and dies; gateways that follow late; instances that come and go;
 * people who say anything at any time.
 */

const STEPS = [
  { weight: 5 },
  { pause: { for_ms: 6_000 } },
  { weight: 40 },
  { pause: {} },
  { weight: 100 },
] as const;
const FIRST = buildRelease({
  strategy: buildWeighted(STEPS),
  gates: { ...buildRelease().gates, on_inconclusive: 'pass' },
});

/** What outlives a controller. */
class World {
  written: ReleaseRecord = FIRST;
  intent_shares: Shares = {};
  /** What is in Redis, and what the gateways obey. */
  published: Shares = {};
  obeyed: Shares = {};
  ready: Record<string, number> = { v1: 3, v2: 2 };
  blocked_by: readonly string[] = [];
  bad = false;
  now = RELEASE_AT;
  served = 0;
  /** What the controller that lives now has looked at and not written. */
  #working: ReleaseRecord | null = null;
  #writtenAt = 0;
  #source = 0;
  #countedFrom = 0;

  crash(): void {
    this.#working = null;
    this.#source += 1;
    this.#countedFrom = this.served;
  }

  facts(record: ReleaseRecord): ReleaseFacts {
    const same = (a: Shares, b: Shares): boolean => JSON.stringify(a) === JSON.stringify(b);
    const published = same(this.published, record.shares);
    const n = this.served - this.#countedFrom;
    const target = buildCounts(n, this.bad ? n : 0);
    return buildFacts({
      ready: { ...this.ready },
      published,
      behind: published && same(this.obeyed, record.shares) ? [] : ['gateway g1 is behind'],
      intent_shares: this.intent_shares,
      blocked_by: this.blocked_by,
      watcher: `run-${String(this.#source)}`,
      totals: { v1: buildCounts(n), v2: target },
      recent: null,
    });
  }

  /** One pass. `die` says at which of its writes the controller is killed, before or after it. */
  pass(die: 'no' | 'before' | 'after' = 'no'): void {
    const record = this.#working?.rev === this.written.rev ? this.#working : this.written;
    this.published = this.written.shares;
    const result = advance(record, this.facts(record), this.now);
    this.#working = result.record;
    const due = result.moved || this.now - this.#writtenAt >= 5_000;
    if ((due || result.write_shares) && die === 'before') {
      this.crash();
      return;
    }
    if (due) {
      this.written = result.record;
      this.#writtenAt = this.now;
    }
    if (result.write_shares) this.intent_shares = result.write_shares;
    if (die === 'after') this.crash();
  }

  say(verb: Verb): void {
    const done = obey(
      this.written,
      verb,
      { by: 'ann', reason: '', idempotency_key: null, force: false },
      this.facts(this.written),
      this.now,
    );
    if (done.ok) this.written = done.value.record;
  }

  /** Time goes on, the gateways follow. */
  live(ms: number, follow = true): void {
    this.now += ms;
    this.served += 20;
    if (follow) this.obeyed = this.published;
  }
}

function finish(world: World): void {
  for (let passes = 0; passes < 400 && !hasEnded(world.written.state); passes += 1) {
    world.live(1_000);
    world.pass();
    if (world.written.state === 'paused')
      world.say({ verb: 'promote', expected_step: world.written.step, full: false });
  }
}
const begun = (record: ReleaseRecord): readonly string[] =>
  record.events.filter((one) => one.event === 'step_begun').map((one) => one.message);
const sum = (shares: Readonly<Record<string, number>>): number =>
  Object.values(shares).reduce((total, share) => total + share, 0);

it.each([
  ['a good target succeeds', false, 'succeeded', { v2: 100 }],
  ['a bad one is rolled back', true, 'rolled_back', { v1: 100 }],
] as const)(
  '%s, and so it does killed at every write, before and after it',
  { timeout: 60_000 },
  (_name, bad, state, shares) => {
    const plain = new World();
    plain.bad = bad;
    finish(plain);
    expect(plain.written).toMatchObject({ state, shares });
    expect(plain.intent_shares).toEqual(shares);
    for (const die of ['before', 'after'] as const)
      for (let at = 0; at < 60; at += 1) {
        const world = new World();
        world.bad = bad;
        for (let passes = 0; passes < at && !hasEnded(world.written.state); passes += 1) {
          world.live(1_000);
          world.pass();
          if (world.written.state === 'paused')
            world.say({ verb: 'promote', expected_step: world.written.step, full: false });
        }
        world.pass(die);
        finish(world);
        expect(world.written).toMatchObject({ state, shares });
        expect(world.intent_shares).toEqual(shares);
        expect(begun(world.written)).toEqual(begun(plain.written));
      }
  },
);

type Act = (world: World) => void;
const verbs: fc.Arbitrary<Verb> = fc.record({
  verb: fc.constantFrom(...VERBS),
  expected_step: fc.option(fc.integer({ min: 0, max: 5 })),
  full: fc.boolean(),
});
const acts: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom<Act>((w) => {
      w.pass();
    }),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.integer({ min: -500, max: 9_000 }), fc.boolean())
      .map(([ms, follow]): Act => (w) => {
        w.live(ms, follow);
      }),
  },
  {
    weight: 2,
    arbitrary: verbs.map((verb): Act => (w) => {
      if (!hasEnded(w.written.state)) w.say(verb);
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Act>(
      (w) => {
        w.crash();
      },
      (w) => {
        w.pass('before');
      },
      (w) => {
        w.pass('after');
      },
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ v1: fc.integer({ min: 0, max: 3 }), v2: fc.integer({ min: 0, max: 3 }) })
      .map((ready): Act => (w) => {
        w.ready = ready;
      }),
  },
  {
    weight: 1,
    arbitrary: fc.boolean().map((bad): Act => (w) => {
      w.bad = bad;
    }),
  },
  {
    weight: 1,
    arbitrary: fc.boolean().map((blocked_by): Act => (w) => {
      w.blocked_by = blocked_by ? ['protection'] : [];
    }),
  },
);

it(
  'whatever happens: shares sum to 100, somebody serves, a step is begun only where guards allow, and time never runs back',
  { timeout: 60_000 },
  () => {
    fc.assert(
      fc.property(fc.array(acts, { minLength: 5, maxLength: 60 }), (history) => {
        const world = new World();
        for (const act of history) {
          const before = world.written;
          const facts = world.facts(before);
          act(world);
          const after = world.written;
          ok(sum(after.shares) === 100, JSON.stringify(after.shares));
          ok(after.rev >= before.rev && after.looked_at >= before.looked_at);
          const alive = new Set(
            Object.keys(world.ready).filter((version) => (world.ready[version] ?? 0) > 0),
          );
          const effective = giveBack(after.shares, after.stable, alive);
          ok(sum(effective) === 100, JSON.stringify(effective));
          if (alive.size > 0)
            for (const version of Object.keys(effective)) ok(alive.has(version), `${version} is not alive`);
          // More for the target is a step, and a step has its guards.
          if (shareOf(after.shares, 'v2') > shareOf(before.shares, 'v2')) {
            expect(facts.blocked_by).toEqual([]);
            expect(serving(facts, after.shares)).toBeGreaterThan(0);
          }
          if (hasEnded(before.state) && after !== before) expect(after).toEqual(before);
        }
        // Whatever was done to it, an abort brings it home.
        if (!hasEnded(world.written.state)) {
          world.ready = { v1: 1, v2: 0 };
          world.say({ verb: 'abort', expected_step: null, full: false });
          finish(world);
          expect(world.written.shares).toEqual({ v1: 100 });
          expect(world.intent_shares).toEqual({ v1: 100 });
        }
        expect(hasEnded(world.written.state)).toBe(true);
      }),
      { numRuns: draws(1_500) },
    );
  },
);

it('a verb that is repeated never advances twice', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.array(acts, { maxLength: 40 }), verbs, (history, verb) => {
      const world = new World();
      for (const act of history) act(world);
      const before = world.written;
      if (hasEnded(before.state)) return;
      world.say(verb);
      const once = world.written;
      world.say(verb);
      const twice = world.written;
      expect(twice.step).toBe(once.step);
      expect(twice.shares).toEqual(once.shares);
      if (!verb.full) expect(once.step).toBeLessThanOrEqual(before.step + 1);
    }),
    { numRuns: draws(2_000) },
  );
});
