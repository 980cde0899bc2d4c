import { describe, expect, it } from 'vitest';
import { type ReleaseRecord, hasEnded } from '../../model/release.js';
import { DEFAULT_GATES } from '../../model/release_gates.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import type { InPlaceRequest } from '../../model/release_plane.js';
import {
  buildBatchInstance,
  buildCounts,
  buildFacts,
  buildInPlace,
  buildInstanceFacts,
  buildRelease,
  RELEASE_AT,
  buildWeighted,
  progressOf,
} from '../../testing/releases.js';
import { advance } from './advance.js';
import { guardStart } from './guards.js';
import { describePlan } from './describe.js';
import { NO_COUNTS } from './gates.js';
import { startRelease, versionBefore, type StartRequest, type StartState } from './start.js';
import { strategyOf } from './strategy/of.js';

const T = RELEASE_AT;
const STEP_MS = 2_000;

/** Looks every two seconds until `until` is true, or for `looks`. */
function live(
  record: ReleaseRecord,
  facts: Partial<ReleaseFacts>,
  looks: number,
  until: (one: ReleaseRecord) => boolean = ({ state }) => hasEnded(state),
): ReleaseRecord {
  let [now, present] = [record.looked_at, record];
  let intent_shares = facts.intent_shares ?? {};
  for (let n = 0; n < looks && !until(present); n += 1) {
    now += STEP_MS;
    const result = advance(present, buildFacts({ ...facts, intent_shares }), now);
    intent_shares = result.write_shares ?? intent_shares;
    present = result.record;
  }
  return present;
}

const goBack = (record: ReleaseRecord, message: string, now: number): ReleaseRecord =>
  strategyOf(record).rollBack(record, 'rolled_back', { by: 'controller', message, now });

describe('a start that cannot be', () => {
  it('of a version that nobody runs ends failed after its deadline, and says why', () => {
    const asked = buildRelease({ start_deadline_ms: 20_000 });
    const ended = live(asked, { ready: { v1: 2 } }, 30);
    expect(ended).toMatchObject({ state: 'failed', turned: { step: 0, begun: false } });
    expect(ended.message).toMatch(/could not begin within 20s: it waited for a ready instance of v2/);
  });
  it('ends even where nobody runs either version, and a gateway is silent', () => {
    const asked = buildRelease({ start_deadline_ms: 20_000 });
    expect(live(asked, { ready: {}, behind: ['gateway g2 is silent'] }, 30)).toMatchObject({
      state: 'failed',
    });
  });
  it('a freeze is not counted', () => {
    const asked = buildRelease({ state: 'preparing', start_deadline_ms: 20_000 });
    expect(live(asked, { ready: { v1: 2 }, blocked_by: ['frozen'] }, 100)).toMatchObject({
      state: 'preparing',
    });
  });
  it('in place: where no batch may begin it ends, and takes nothing back', () => {
    const instances = [buildInstanceFacts('i1')];
    const ended = live(buildInPlace({ start_deadline_ms: 20_000 }), { instances, ready: { v1: 1 } }, 30);
    expect(ended).toMatchObject({
      state: 'failed',
      shares: {},
      strategy: { progress: { batches: [], planned: 1 } },
    });
    expect(ended.message).toMatch(/nothing was changed/);
  });
  it('what waits elsewhere says so again after ten minutes, once', () => {
    const back = goBack(buildRelease({ state: 'progressing', phase: 'warming' }), 'bad', T);
    const waits = live(back, { ready: { v2: 1 } }, 700);
    expect(waits.state).toBe('rolling_back');
    const said = waits.events.filter(({ event }) => event === 'still_waiting');
    expect(said).toMatchObject([{ message: 'for 10m: a ready instance of v1' }]);
  });
});

describe('what an ended release shows', () => {
  const window = {
    watcher: 'run-1',
    last: { stable: NO_COUNTS, target: NO_COUNTS },
    sum: { stable: buildCounts(900), target: buildCounts(100, 50) },
  };
  const bad = buildRelease({
    state: 'progressing',
    phase: 'analysing',
    step: 1,
    window,
    shares: { v1: 90, v2: 10 },
  });

  it('names only the gates that failed, and keeps what all of them read', () => {
    const ended = live(bad, {}, 20);
    expect(ended).toMatchObject({ state: 'rolled_back', step: 1, turned: { step: 1, begun: true } });
    expect(ended.message).toMatch(/gate: errors 50 %/);
    expect(ended.message).not.toMatch(/latency/);
    expect(ended.read).toMatchObject({
      step: 1,
      gates: [
        { gate: 'errors', verdict: 'fail', value: 50 },
        { gate: 'latency p95', verdict: 'pass' },
      ],
    });
    expect(describePlan(ended, buildFacts()).steps).toHaveLength(3);
  });
  it('the fast gate is kept beside them', () => {
    const recent = { v1: buildCounts(900), v2: buildCounts(60, 30) };
    const ended = live({ ...bad, phase: 'soaking', gates: { ...bad.gates, errors: null } }, { recent }, 20);
    expect(ended.read?.gates).toMatchObject([
      { gate: 'latency p95' },
      { gate: 'fast', verdict: 'fail', value: 50, limit: 20, samples: { target: 60, stable: 900 } },
    ]);
  });
  it('in place: where it turned, and the batches of both ways', () => {
    const progress = {
      ...{ batch: [buildBatchInstance('i2', 'failed')], called: null, left_out: [], full: false, planned: 3 },
      batches: [
        { step: 0, direction: 'forward' as const, count: 1, instances: ['i1'] },
        { step: 1, direction: 'forward' as const, count: 1, instances: ['i2'] },
      ],
    };
    const failed = buildInPlace({ state: 'progressing', phase: 'upgrading', step: 1, progress });
    const turned = goBack(failed, 'failed', T);
    const three = [
      buildInstanceFacts('i1', { version: 'v2' }),
      buildInstanceFacts('i2', { able: false }),
      buildInstanceFacts('i3'),
    ];
    const first = live(turned, { instances: three }, 3, ({ phase }) => phase !== null);
    expect(first.message).toBe('batch 1 of the way back: i2 to v1');
    expect(describePlan(first, buildFacts({ instances: three })).steps).toMatchObject([
      { what: '1/3 i1', direction: 'forward' },
      { what: '2/3 i2', direction: 'forward' },
      { what: 'back 1/2 i2', direction: 'back' },
      { what: 'back 2/2 i1', direction: 'back', ready: { v1: 1, v2: 0 } },
    ]);
    const ended = { ...first, state: 'rolled_back', phase: null, ended_at: first.at } as const;
    expect(describePlan(ended, buildFacts()).steps.map(({ what }) => what)).toEqual([
      '1/3 i1',
      '2/3 i2',
      'back 1/1 i2',
    ]);
  });
  it('a plan says who is ready at each step, what it needs, and its gates', () => {
    const facts = buildFacts({ instances: [buildInstanceFacts('i1'), buildInstanceFacts('i2')] });
    const plan = describePlan(buildInPlace(), facts);
    expect(plan.steps.map(({ what, ready }) => [what, ready])).toEqual([
      ['1/2 i1', { v1: 1, v2: 0 }],
      ['2/2 i2', { v1: 0, v2: 1 }],
    ]);
    const weighted = describePlan(
      buildRelease({
        min_ready: { percent: 75 },
        strategy: buildWeighted([{ weight: 10 }, { pause: { for_ms: 10_000 } }, { weight: 100 }], 4),
      }),
      buildFacts(),
    );
    expect(weighted.steps.map(({ ready, needs }) => [ready, needs])).toEqual([
      [{ v1: 2, v2: 2 }, 1],
      [{ v1: 2, v2: 2 }, 0],
      [{ v1: 2, v2: 2 }, 3],
    ]);
    expect(weighted.gates).toEqual([
      "errors: above 1 % and 2 × the stable version's, of 50 requests of each side and more",
      "latency: p95 above 10 ms + 2 × the stable version's, of 50 requests of each side and more",
      'fast: 20 % errors of 50 requests within ten seconds',
    ]);
  });
});

describe('soaks', () => {
  const soaking = (gates: Partial<ReleaseRecord['gates']>): ReleaseRecord =>
    buildRelease({ state: 'progressing', phase: 'soaking', step: 1, gates: { ...DEFAULT_GATES, ...gates } });
  it('what comes before the delay is in no window', () => {
    let record = soaking({ delay_ms: 4_000, fast: false });
    const seen: number[] = [];
    for (let n = 1; n <= 4; n += 1) {
      const totals = { v1: buildCounts(1_000 + 100 * n), v2: buildCounts(1_000 + 100 * n, 1_000) };
      record = advance(record, buildFacts({ totals }), T + n * STEP_MS).record;
      seen.push(record.window?.sum.target.requests ?? -1);
    }
    expect(seen).toEqual([-1, -1, 0, 100]);
  });
  it('extend goes on for another interval, to four times the soak, and then pauses', () => {
    const asked = soaking({ on_inconclusive: 'extend', interval_ms: 10_000 });
    const paused = live(asked, {}, 60, ({ state }) => state === 'paused');
    expect(paused).toMatchObject({ state: 'paused', paused: { cause: 'gate' } });
    expect(paused.looked_at - T).toBeGreaterThanOrEqual(40_000);
    expect(paused.events.filter(({ event }) => event === 'extended')).toHaveLength(3);
  });
  it('the verdict on an extended soak is by all that it saw', () => {
    const counts = (n: number) => ({ v1: buildCounts(100 * n), v2: buildCounts(6 * n) });
    let record = soaking({ on_inconclusive: 'extend', interval_ms: 10_000 });
    for (let n = 1; n <= 12 && record.step === 1; n += 1)
      record = advance(record, buildFacts({ totals: counts(n) }), T + n * STEP_MS).record;
    expect(record).toMatchObject({ state: 'progressing', step: 2, read: { step: 1 } });
    expect(record.events.filter(({ event }) => event === 'extended')).toHaveLength(1);
  });
});

describe('a straggler', () => {
  const inPlace: InPlaceRequest = {
    kind: 'in_place',
    ...{ batch: null, max_unavailable: null, max_failed: null, upgrade: { person: true } },
    ...{ upgrade_timeout_ms: null, drain_timeout_ms: null, soak_ms: null, stragglers: 'only' },
  };
  const request: StartRequest = {
    ...{ service: 'shop', target: 'v2', stable: null, like: null, gates: {}, supersede: false },
    ...{ deadline_ms: null, start_deadline_ms: null, min_ready: null },
    strategy: inPlace,
  };
  /** v1 → v2 is over, and i3 stayed v1. */
  const state: StartState = {
    releases: { current: null, history: [] },
    ...{ intent_shares: { v2: 100 }, ready: { v1: 1, v2: 2 }, drain_timeout_ms: 45_000 },
    ...{ newId: 'rel-9', by: 'ann', reason: '', now: T },
  };
  const start = (asked: StartRequest): ReleaseRecord => {
    const started = startRelease(asked, state);
    if (!started.ok) throw new Error(started.error.detail);
    return started.value.record;
  };
  const instances = [
    buildInstanceFacts('i1', { version: 'v2' }),
    buildInstanceFacts('i2', { version: 'v2' }),
    buildInstanceFacts('i3'),
  ];
  const facts = { instances, ready: state.ready, intent_shares: state.intent_shares };

  it('is finished with, and nobody who serves is touched', () => {
    const record = start(request);
    expect(record).toMatchObject({ stable: 'v2', target: 'v2', shares: { v2: 100 } });
    expect(guardStart(record, buildFacts(facts), null)).toEqual([]);
    const begun = live(record, facts, 9, ({ phase }) => phase === 'upgrading');
    expect(progressOf(begun).batch.map(({ id }) => id)).toEqual(['i3']);
    const back = instances.map((one) => ({ ...one, version: 'v2' }));
    expect(live(begun, { ...facts, instances: back, ready: { v2: 3 } }, 20)).toMatchObject({
      state: 'succeeded',
      strategy: { progress: { left_out: [] } },
    });
  });
  it('that does not make it takes nothing back', () => {
    const begun = live(start(request), facts, 9, ({ phase }) => phase === 'upgrading');
    const ended = live(goBack(begun, 'no', begun.looked_at), facts, 20);
    expect(ended).toMatchObject({
      state: 'rolled_back',
      shares: { v2: 100 },
      strategy: { progress: { batch: [] } },
    });
    expect(versionBefore({ current: null, history: [{ ...ended, state: 'succeeded' }] })).toBeNull();
  });
  it('that a person has out of use is waited for, by wait and only, and left by leave', () => {
    const out_of_use = [
      instances[0]!,
      instances[1]!,
      buildInstanceFacts('i3', { able: false, out_of_use: 'draining by ann' }),
    ];
    const waits = advance(
      { ...start(request), state: 'preparing' },
      buildFacts({ ...facts, instances: out_of_use }),
      T,
    );
    expect(waits.waiting_for).toEqual([
      expect.stringMatching(/^i3: draining by ann; give it back/) as string,
    ]);
    const leaves = buildInPlace({ state: 'preparing' }, { stragglers: 'leave' });
    const done = advance(leaves, buildFacts({ ...facts, instances: out_of_use }), T);
    expect(done.record).toMatchObject({
      state: 'finalizing',
      strategy: { progress: { left_out: [{ id: 'i3' }] } },
    });
  });
  it('forbids an undo in place only until it is out of use, or the guard is overruled', () => {
    const undo = { ...request, target: 'v1', strategy: { ...inPlace, stragglers: null } };
    const asked = start(undo);
    const [guard] = guardStart(asked, buildFacts(facts), null);
    expect(guard).toMatch(/v1 from 0 % to about 33 % .*ebbgate drain -s shop --version v1/);
    // What the guard names: without the straggler nothing is gained by weights, and every instance of v2 is still there.
    expect(guardStart(asked, buildFacts({ ...facts, ready: { v2: 2 } }), null)).toEqual([]);
  });
  it('to the stable version nobody goes without saying that stragglers are meant; the refusal names how', () => {
    const again = { ...request, strategy: { ...inPlace, stragglers: null } };
    expect(startRelease(again, state)).toMatchObject({
      error: { code: 'conflict', detail: expect.stringContaining('--in-place --stragglers only') as string },
    });
    expect(startRelease(request, state)).toMatchObject({ ok: true });
    expect(startRelease({ ...request, target: 'v3' }, state)).toMatchObject({ error: { code: 'conflict' } });
  });
  it('by steps everything is not sent to one instance', () => {
    const weighted = {
      ...request,
      target: 'v1',
      strategy: { kind: 'weighted', steps: [{ weight: 100 }] } as const,
    };
    const waits = live(start(weighted), facts, 9);
    expect(waits).toMatchObject({ state: 'preparing', shares: { v2: 100 } });
  });
});
