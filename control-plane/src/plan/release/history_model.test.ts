import { ok } from 'node:assert/strict';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { type ReleaseRecord, type Shares, VERBS, type Verb, hasEnded } from '../../model/release.js';
import { draws } from '../../testing/draws.js';
import { buildFacts, buildRelease, RELEASE_AT, buildWeighted } from '../../testing/releases.js';
import { advance } from './advance.js';
import { obey } from './verbs.js';

/*
 * A weighted release against a second opinion: a small model that was written from docs/explanation/releases.md and shares no line
 * with the plan. Both live through the same histories, and what is written in ZooKeeper must be the same after every act: looks,
 * verbs, gateways that follow late, instances that come and go, guards, and controllers that die before, between and after each
 * of their three writes (the set in Redis, the shares in the service's own record, the release itself).
 */

const STEPS = [
  { weight: 5 },
  { pause: { for_ms: 6_000 } },
  { weight: 40 },
  { pause: {} },
  { weight: 100 },
] as const;
const DEADLINE_MS = 12_000;
const START_DEADLINE_MS = 10_000;
const LONG_MS = 600_000;
/** Many in the long run; few find the same in a short one. */
const HISTORIES = draws(2_000, 10_000);

/* ---- the second opinion ---- */

type Place = 'pending' | 'preparing' | 'progressing' | 'paused' | 'finalizing' | 'rolling_back' | Ended;
type Ended = 'succeeded' | 'rolled_back' | 'cancelled' | 'failed';

interface Opinion {
  place: Place;
  phase: string | null;
  step: number;
  attempt: number;
  /** Percent for v2; v1 has the rest. */
  target: number;
  pausedBy: 'step' | 'person' | null;
  /** What a person's pause lies over. */
  covers: 'step' | null;
  resumesTo: { place: Place; phase: string | null } | null;
  goesBackTo: Ended | null;
  /** A step had begun when it turned round. */
  begun: boolean;
  since: number;
  /** It said once more that it waits. */
  said: boolean;
  observed: number;
  stalled: number;
  lookedAt: number;
  lookedBy: string;
}

/** What both see. */
interface Seen {
  blocked_by: boolean;
  v1: number;
  v2: number;
  /** The set of this very record is in force, and all gateways obey it. */
  published: boolean;
  obeyed: boolean;
  /** The share of v2 in the service's own record; null = nothing was decided. */
  intent_shares: number | null;
  by: string;
  now: number;
}

const FRESH: Opinion = {
  ...{ place: 'pending', phase: null, step: 0, attempt: 1, target: 0, pausedBy: null, resumesTo: null },
  ...{
    covers: null,
    goesBackTo: null,
    begun: true,
    since: RELEASE_AT,
    said: false,
    observed: 0,
    stalled: 0,
    lookedAt: RELEASE_AT,
    lookedBy: 'run-1',
  },
};
const over = ({ place }: Opinion): boolean =>
  ['succeeded', 'rolled_back', 'cancelled', 'failed'].includes(place);
const weightAt = (step: number, now: number): number => {
  const found = STEPS[step];
  return found && 'weight' in found ? found.weight : step >= STEPS.length ? 100 : now;
};

/** Into another place: what was observed begins again unless it is kept. */
function into(from: Opinion, at: number, parts: Partial<Opinion>, keeps = false): Opinion {
  return {
    ...from,
    ...{ since: at, said: false, covers: null },
    ...{ phase: null, pausedBy: null, resumesTo: null, stalled: 0, observed: keeps ? from.observed : 0 },
    ...parts,
  };
}
function step(from: Opinion, at: number, n: number, attempt = 1): Opinion {
  const to = { step: n, attempt, target: weightAt(n, from.target) };
  const wanted = STEPS[n];
  if (!wanted) return into(from, at, { ...to, place: 'finalizing' });
  if ('weight' in wanted) return into(from, at, { ...to, place: 'progressing', phase: 'applying' });
  if ('for_ms' in wanted.pause) return into(from, at, { ...to, place: 'progressing', phase: 'soaking' });
  const resumesTo = { place: 'progressing', phase: 'soaking' } as const;
  return into(from, at, { ...to, place: 'paused', pausedBy: 'step', resumesTo });
}
const back = (from: Opinion, at: number, goesBackTo: Ended): Opinion => {
  const place = from.resumesTo?.place ?? from.place;
  const begun = place !== 'pending' && place !== 'preparing';
  return into(from, at, { place: 'rolling_back', goesBackTo, begun, target: 0 });
};

function mayBegin({ target }: Opinion, n: number, seen: Seen): boolean {
  const next = weightAt(n, target);
  const serve = (share: number): number => (share < 100 ? seen.v1 : 0) + (share > 0 ? seen.v2 : 0);
  const loses = serve(next) === 0 && serve(target) > 0;
  return !seen.blocked_by && !loses && (next <= target || seen.v2 > 0);
}

interface Look {
  readonly after: Opinion;
  readonly moved: boolean;
  /** The share of v2 to write down. */
  readonly write_shares: number | null;
}

function look(before: Opinion, seen: Seen): Look {
  if (over(before)) return { after: before, moved: false, write_shares: null };
  const found = glance(before, seen);
  const { phase, since, said } = found.after;
  if (found.moved || phase === 'soaking' || said || seen.now - since < LONG_MS) return found;
  return { after: { ...found.after, said: true }, moved: true, write_shares: null };
}

function glance(before: Opinion, seen: Seen): Look {
  const span = Math.max(0, seen.now - before.lookedAt);
  const counted = span <= 5_000 && before.lookedBy === seen.by ? span : 0;
  const starves = before.place === 'progressing' && before.target > 0 && seen.v2 === 0;
  const soaks = before.place === 'progressing' && before.phase === 'soaking' && seen.obeyed && !starves;
  const now: Opinion = {
    ...before,
    observed: before.observed + (soaks ? counted : 0),
    stalled:
      before.place === 'preparing' && seen.blocked_by
        ? before.stalled
        : starves || before.place === 'preparing'
          ? before.stalled + counted
          : 0,
    lookedAt: before.lookedAt - seen.now > 5_000 ? seen.now : Math.max(seen.now, before.lookedAt),
    lookedBy: seen.by,
  };
  const stays = { after: now, moved: false, write_shares: null };
  const moves = (after: Opinion): Look => ({ after, moved: true, write_shares: null });
  const begins = (n: number): Look => (mayBegin(now, n, seen) ? moves(step(now, seen.now, n)) : stays);
  const settles = (ready: number, share: number, end: Ended): Look => {
    if (now.begun && (!seen.obeyed || ready === 0)) return stays;
    return seen.intent_shares === share
      ? moves(into(now, seen.now, { place: end }))
      : { ...stays, write_shares: share };
  };
  switch (now.place) {
    case 'pending':
      return seen.blocked_by ? stays : moves(into(now, seen.now, { place: 'preparing' }));
    case 'preparing':
      if (seen.obeyed && seen.v2 > 0 && mayBegin(now, 0, seen)) return begins(0);
      return !seen.blocked_by && now.stalled >= START_DEADLINE_MS
        ? moves(back(now, seen.now, 'failed'))
        : stays;
    case 'finalizing':
      return settles(seen.v2, 100, 'succeeded');
    case 'rolling_back':
      return settles(seen.v1, 0, now.goesBackTo ?? 'rolled_back');
    case 'progressing':
      break;
    default:
      return stays;
  }
  if (now.stalled >= DEADLINE_MS) return moves(back(now, seen.now, 'failed'));
  const phase = (to: string, keeps = false): Look =>
    moves(into(now, seen.now, { place: 'progressing', phase: to }, keeps));
  switch (now.phase) {
    case 'applying':
      return seen.published ? phase('converging') : stays;
    case 'converging':
      return seen.obeyed ? phase('warming') : stays;
    case 'warming':
      return now.target > 0 && seen.v2 === 0 ? stays : begins(now.step + 1);
    case 'soaking':
      return now.observed >= 6_000 ? phase('analysing', true) : stays;
    default:
      return begins(now.step + 1);
  }
}

/** What a verb makes of it; the same object = nothing. */
function reported(now: Opinion, { verb, expected_step: expected, full }: Verb, seen: Seen): Opinion {
  if (over(now)) return now;
  const inSteps =
    now.place === 'progressing' || (now.place === 'paused' && now.resumesTo?.place === 'progressing');
  switch (verb) {
    case 'abort':
    case 'rollback':
      return now.place === 'rolling_back'
        ? now
        : back(now, seen.now, verb === 'abort' ? 'cancelled' : 'rolled_back');
    case 'pause': {
      if (now.pausedBy === 'step') return { ...now, pausedBy: 'person', covers: 'step' };
      if (now.place !== 'preparing' && now.place !== 'progressing') return now;
      const { place, phase } = now;
      return into(now, seen.now, { place: 'paused', pausedBy: 'person', resumesTo: { place, phase } }, true);
    }
    case 'resume':
      if (now.place !== 'paused' || now.pausedBy === 'step' || !now.resumesTo) return now;
      if (now.covers !== null) return { ...now, pausedBy: now.covers, covers: null };
      return into(now, seen.now, { ...now.resumesTo }, true);
    case 'retry':
      if (expected !== now.step || !inSteps || seen.blocked_by) return now;
      return step(now, seen.now, now.step, now.attempt + 1);
    case 'promote':
    case 'skip': {
      if (expected !== now.step || !inSteps) return now;
      const waits = now.place === 'paused' || now.phase === 'soaking' || now.phase === 'analysing';
      const last = STEPS.length - 1;
      if (verb === 'promote' && !full && !waits) return now;
      if (full && now.step === last) return now;
      const to = full ? last : now.step + 1;
      return mayBegin(now, to, seen) ? step(now, seen.now, to) : now;
    }
  }
}

/* ---- the world in which both live ---- */

/** Where the controller dies in a pass, if it does: before, between or after its writes. */
const DEATHS = ['no', 'before all', 'set written', 'shares written', 'release written'] as const;
type Death = (typeof DEATHS)[number];

class World {
  written: ReleaseRecord = buildRelease({
    strategy: buildWeighted(STEPS),
    gates: { ...buildRelease().gates, errors: null, latency: null, fast: false, on_inconclusive: 'pass' },
    deadline_ms: DEADLINE_MS,
    start_deadline_ms: START_DEADLINE_MS,
  });
  opinion: Opinion = FRESH;
  published: Shares = {};
  obeyed: Shares = {};
  intent_shares: Shares = {};
  blocked_by = false;
  ready = { v1: 2, v2: 2 };
  now = RELEASE_AT;
  writes = 0;
  #run = 1;
  #writtenAt = RELEASE_AT;
  #working: ReleaseRecord | null = null;
  #thought: Opinion | null = null;

  facts(record: ReleaseRecord): ReleaseFacts {
    const published = same(this.published, record.shares);
    const obeyed = published && same(this.obeyed, record.shares);
    return buildFacts({
      ready: { ...this.ready },
      ...{ published, behind: obeyed ? [] : ['gateway g1 is behind'], intent_shares: this.intent_shares },
      ...{
        blocked_by: this.blocked_by ? ['frozen'] : [],
        watcher: `run-${String(this.#run)}`,
        totals: null,
        recent: null,
      },
    });
  }

  seen(target: number): Seen {
    const wanted: Shares =
      target === 0 ? { v1: 100 } : target === 100 ? { v2: 100 } : { v1: 100 - target, v2: target };
    const published = same(this.published, wanted);
    return {
      ...{
        blocked_by: this.blocked_by,
        ...this.ready,
        published,
        obeyed: published && same(this.obeyed, wanted),
      },
      intent_shares: Object.keys(this.intent_shares).length === 0 ? null : (this.intent_shares['v2'] ?? 0),
      ...{ by: `run-${String(this.#run)}`, now: this.now },
    };
  }

  pass(death: Death): void {
    if (death === 'before all') {
      this.crash();
      return;
    }
    this.published = this.written.shares; // persist first, publish second: from what is written, and nothing else
    if (death === 'set written') {
      this.crash();
      return;
    }
    const record = this.#working ?? this.written;
    const result = advance(record, this.facts(record), this.now);
    const opinion = this.#thought ?? this.opinion;
    const expected = look(opinion, this.seen(opinion.target));
    ok(result.moved === expected.moved, `moved: ${String(result.moved)}`);
    expect(result.write_shares?.['v2'] ?? (result.write_shares ? 0 : null)).toBe(expected.write_shares);
    if (result.write_shares) this.intent_shares = result.write_shares;
    if (death === 'shares written') {
      this.crash();
      return;
    }
    this.#working = result.moved ? this.#working : result.record;
    this.#thought = expected.moved ? this.#thought : expected.after;
    if (result.moved || this.now - this.#writtenAt >= 5_000) {
      this.written = result.record;
      this.opinion = expected.after;
      this.#settle();
    }
    if (death === 'release written') this.crash();
  }

  say(verb: Verb): void {
    const record = this.#working ?? this.written;
    const opinion = this.#thought ?? this.opinion;
    const context = { by: 'ann', reason: '', idempotency_key: null, force: false };
    const done = obey(record, verb, context, this.facts(record), this.now);
    const expected = reported(opinion, verb, this.seen(opinion.target));
    expect(done.ok && done.value.changed).toBe(expected !== opinion);
    if (!done.ok || !done.value.changed) return;
    this.written = done.value.record;
    this.opinion = expected;
    this.#settle();
  }

  /** Another controller takes over: what was not written is lost. */
  crash(): void {
    this.#run += 1;
    this.#working = null;
    this.#thought = null;
  }

  #settle(): void {
    this.writes += 1;
    this.#writtenAt = this.now;
    this.#working = null;
    this.#thought = null;
  }
}

function same(a: Shares, b: Shares): boolean {
  const spell = (shares: Shares): string => JSON.stringify(Object.entries(shares).sort());
  return spell(a) === spell(b);
}

/** What of a record the opinion speaks of. */
function project(record: ReleaseRecord): object {
  const { state, phase, step, attempt, shares, paused, ending, observed_ms, stalled_ms, looked_by } = record;
  const { since, events } = record;
  return {
    begun: record.turned?.begun ?? true,
    since: Date.parse(since),
    said: events.some(({ event, at }) => event === 'still_waiting' && at >= since),
    ...{ place: state, phase, step, attempt, target: shares['v2'] ?? 0, goesBackTo: ending },
    pausedBy: paused?.cause ?? null,
    covers: paused?.over?.[0]?.cause ?? null,
    resumesTo: paused && { place: paused.state, phase: paused.phase },
    ...{ observed: observed_ms, stalled: stalled_ms, lookedAt: record.looked_at, lookedBy: looked_by },
  };
}

type Act = (world: World) => void;
const verbs: fc.Arbitrary<Verb> = fc.record({
  verb: fc.constantFrom(...VERBS),
  expected_step: fc.integer({ min: 0, max: 5 }),
  full: fc.boolean(),
});
/** A verb of somebody who saw its step. */
const acts: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constant<Act>((w) => {
      w.pass('no');
    }),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...DEATHS).map((death): Act => (w) => {
      w.pass(death);
    }),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.integer({ min: -500, max: 7_000 }), fc.boolean())
      .map(([ms, follow]): Act => (w) => {
        w.now += ms;
        if (follow) w.obeyed = w.published;
      }),
  },
  // A clock is set back.
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1_000, max: 60_000 }).map((ms): Act => (w) => {
      w.now -= ms;
    }),
  },
  // What usually happens: the set goes out, the gateways follow, the controller looks.
  {
    weight: 8,
    arbitrary: fc.integer({ min: 20, max: 2_500 }).map((ms): Act => (w) => {
      w.published = w.written.shares;
      w.obeyed = w.published;
      w.now += ms;
      w.pass('no');
    }),
  },
  // Nobody of v2 is left, and time goes by: on the way to its deadline, or past it.
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 8 }).map((looks): Act => (w) => {
      w.ready = { ...w.ready, v2: 0 };
      for (let n = 0; n < looks; n += 1) {
        w.now += 2_500;
        w.pass('no');
      }
    }),
  },
  {
    weight: 1,
    arbitrary: verbs.map((verb): Act => (w) => {
      w.say(verb);
    }),
  },
  {
    weight: 2,
    arbitrary: verbs.map((verb): Act => (w) => {
      w.say({ ...verb, expected_step: w.written.step });
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ v1: fc.integer({ min: 0, max: 2 }), v2: fc.integer({ min: 0, max: 2 }) })
      .map((ready): Act => (w) => {
        w.ready = ready;
      }),
  },
  {
    weight: 1,
    arbitrary: fc.boolean().map((blocked_by): Act => (w) => {
      w.blocked_by = blocked_by;
    }),
  },
);

it(
  `${HISTORIES.toLocaleString('en')} histories: the plan and the second opinion never differ`,
  { timeout: 120_000 },
  () => {
    const reached = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(acts, { minLength: 20, maxLength: 60 }), (history) => {
        const world = new World();
        for (const act of history) {
          const before = world.written;
          act(world);
          if (world.written !== before) expect(project(world.written)).toEqual({ ...world.opinion });
          if (hasEnded(before.state)) ok(world.written === before);
        }
        const end = world.written.state;
        reached.set(end, (reached.get(end) ?? 0) + 1);
      }),
      { numRuns: HISTORIES },
    );
    // A model that nothing ever reaches proves nothing.
    for (const state of [
      'progressing',
      'paused',
      'succeeded',
      'rolled_back',
      'cancelled',
      'failed',
      'rolling_back',
    ])
      expect(reached.get(state) ?? 0, state).toBeGreaterThan(HISTORIES / 100);
  },
);
