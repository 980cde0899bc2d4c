import { describe, expect, it } from 'vitest';
import type { ReleaseRecord } from '../../model/release.js';
import { buildCounts as counts, buildFacts, buildRelease, RELEASE_AT as T } from '../../testing/releases.js';
import { advance } from './advance.js';
import { guardStart } from './guards.js';
import { obey } from './verbs.js';
import type { ReleaseFacts } from '../../model/release_facts.js';

const at = (record: Partial<ReleaseRecord>): ReleaseRecord => buildRelease(record);
const soaking = (record: Partial<ReleaseRecord> = {}): ReleaseRecord =>
  at({ state: 'progressing', phase: 'soaking', step: 1, shares: { v1: 90, v2: 10 }, ...record });
const paused = (record: Partial<ReleaseRecord> = {}): ReleaseRecord =>
  at({
    state: 'paused',
    paused: { cause: 'person', by: 'ann', message: 'lunch', state: 'progressing', phase: 'soaking' },
    shares: { v1: 90, v2: 10 },
    step: 1,
    ...record,
  });
const back = (record: Partial<ReleaseRecord> = {}): ReleaseRecord =>
  at({ state: 'rolling_back', ending: 'rolled_back', ...record });
const finalizing = (record: Partial<ReleaseRecord> = {}): ReleaseRecord =>
  at({ state: 'finalizing', step: 3, shares: { v2: 100 }, ...record });

const BEHIND = { behind: ['gateway g2 has been silent for 9 s'] };
const window = (stable = counts(900), target = counts(100)): ReleaseRecord['window'] => ({
  watcher: 'run-1',
  last: { stable, target },
  sum: { stable, target },
});
const analysing = (parts: Partial<ReleaseRecord> = {}): ReleaseRecord =>
  soaking({ phase: 'analysing', observed_ms: 10_000, ...parts });

it('of a clock that was set back the time counts on from there; a small step is waited for', () => {
  const record = soaking({ looked_at: T, observed_ms: 2_000 });
  const look = (from: ReleaseRecord, now: number): ReleaseRecord => advance(from, buildFacts(), now).record;
  const hour = look(record, T - 3_600_000);
  expect(hour).toMatchObject({ observed_ms: 2_000, looked_at: T - 3_600_000 });
  expect(look(hour, T - 3_600_000 + 1_000).observed_ms).toBe(3_000);
  const little = look(record, T - 2_000);
  expect(little).toMatchObject({ observed_ms: 2_000, looked_at: T });
  // Forward again: nothing is counted twice.
  expect(look(little, T + 500).observed_ms).toBe(2_500);
  expect(look(hour, T).observed_ms).toBe(2_000);
});

it('a soak and a deadline count nothing while ZooKeeper is away', () => {
  const away = buildFacts({ current: false, blocked_by: ['ZooKeeper is suspended'] });
  const soak = advance(soaking({ observed_ms: 2_000 }), away, T + 1_000);
  expect(soak.record.observed_ms).toBe(2_000);
  expect(soak.waiting_for).toContain('not counted: ZooKeeper is away');
  const lacking = { ...away, ready: { v1: 2 } };
  expect(advance(soaking({ stalled_ms: 7_000 }), lacking, T + 1_000).record.stalled_ms).toBe(7_000);
});

it('what is counted during a pause by a person is in no window', () => {
  const totals = (target: number) => ({ v1: counts(900), v2: counts(target, target - 100) });
  const before = soaking({ window: window() });
  const verb = { verb: 'pause', expected_step: null, full: false, planned: null, batches: [] } as const;
  const context = { by: 'ann', reason: '', idempotency_key: null, force: false };
  const say = (record: ReleaseRecord, name: 'pause' | 'resume'): ReleaseRecord => {
    const done = obey(record, { ...verb, verb: name }, context, buildFacts(), T);
    if (!done.ok) throw new Error(done.error.detail);
    return done.value.record;
  };
  const resumed = say(say(before, 'pause'), 'resume');
  const first = advance(resumed, buildFacts({ totals: totals(400) }), T).record;
  expect(first.window?.sum.target.requests).toBe(100);
  const second = advance(first, buildFacts({ totals: totals(402) }), T + 100).record;
  expect(second.window?.sum.target.requests).toBe(102);
});

describe('guardStart', () => {
  const asked = at({ base: { v1: 100 } });
  it.each([
    ['by weights, and one version alone is too few', { ready: { v1: 1, v2: 3 }, min_available: 3 }, 1],
    ['by weights, and enough are left', { ready: { v1: 3, v2: 3 }, min_available: 3 }, 0],
    ['nobody of the stable version serves', { ready: { v2: 3 } }, 1],
    ['it changes nothing', { ready: { v1: 1, v2: 3 }, intent_shares: { v1: 100 }, min_available: 3 }, 0],
  ])('%s', (_name, facts, expected) => {
    expect(guardStart(asked, buildFacts(facts), null)).toHaveLength(expected);
  });
});

describe('every move', () => {
  it.each<[string, ReleaseRecord, Partial<ReleaseFacts>, Partial<ReleaseRecord>]>([
    ['pending', at({}), { published: false }, { state: 'preparing', phase: null }],
    [
      'preparing',
      at({ state: 'preparing' }),
      {},
      { state: 'progressing', phase: 'applying', step: 0, shares: { v1: 90, v2: 10 } },
    ],
    ['applying', at({ state: 'progressing', phase: 'applying' }), BEHIND, { phase: 'converging' }],
    ['converging', at({ state: 'progressing', phase: 'converging' }), {}, { phase: 'warming' }],
    [
      'warming',
      at({ state: 'progressing', phase: 'warming', shares: { v1: 90, v2: 10 } }),
      {},
      { phase: 'soaking', step: 1 },
    ],
    ['soaking', soaking({ observed_ms: 10_000 }), {}, { phase: 'analysing', observed_ms: 11_000 }],
    [
      'analysing, well',
      analysing({ window: window() }),
      {},
      { phase: 'applying', step: 2, shares: { v2: 100 } },
    ],
    [
      'analysing, bad',
      analysing({ window: window(counts(900), counts(100, 9)) }),
      {},
      { state: 'rolling_back', ending: 'rolled_back', shares: { v1: 100 } },
    ],
    [
      'analysing, too little',
      analysing({ window: window(counts(900), counts(9)) }),
      {},
      { state: 'paused', shares: { v1: 90, v2: 10 } },
    ],
    [
      'the last weight',
      at({ state: 'progressing', phase: 'warming', step: 2, shares: { v2: 100 } }),
      {},
      { state: 'finalizing', shares: { v2: 100 }, step: 3 },
    ],
    ['finalizing', finalizing(), { intent_shares: { v2: 100 } }, { state: 'succeeded' }],
    ['rolling back', back(), { intent_shares: { v1: 100 } }, { state: 'rolled_back' }],
    [
      'going back after an abort',
      back({ ending: 'cancelled' }),
      { intent_shares: { v1: 100 } },
      { state: 'cancelled' },
    ],
    [
      'a target that is gone for too long',
      soaking({ stalled_ms: 60_000 }),
      { ready: { v1: 2 } },
      { state: 'rolling_back', ending: 'failed', shares: { v1: 100 } },
    ],
    [
      'a bad soak does not wait for its end',
      soaking({ observed_ms: 5_000, window: window(counts(900), counts(100, 9)) }),
      {},
      { state: 'rolling_back' },
    ],
  ])('%s', (_name, record, facts, expected) => {
    const result = advance(record, buildFacts(facts), T + 1_000);
    expect(result).toMatchObject({ moved: true, waiting_for: [], write_shares: null });
    expect(result.record).toMatchObject(expected);
    expect(result.record.rev).toBe(record.rev + 1);
    expect(result.record.events.at(-1)).toMatchObject({ by: 'controller' });
  });
});

describe('every wait says for what', () => {
  it.each<[string, ReleaseRecord, Partial<ReleaseFacts>, string]>([
    ['pending', at({}), { blocked_by: ['Redis is degraded'] }, 'Redis is degraded'],
    ['preparing, not published', at({ state: 'preparing' }), { published: false }, 'its set being published'],
    ['preparing, a silent gateway', at({ state: 'preparing' }), BEHIND, 'gateway g2 has been silent'],
    [
      'preparing, nobody to serve',
      at({ state: 'preparing' }),
      { ready: { v1: 2 } },
      'a ready instance of v2',
    ],
    [
      'preparing, protection',
      at({ state: 'preparing' }),
      { blocked_by: ['3 instances vanished'] },
      '3 instances vanished',
    ],
    [
      'applying',
      at({ state: 'progressing', phase: 'applying' }),
      { published: false },
      'its set being published',
    ],
    ['converging', at({ state: 'progressing', phase: 'converging' }), BEHIND, 'gateway g2 has been silent'],
    [
      'warming',
      at({ state: 'progressing', phase: 'warming', shares: { v2: 10, v1: 90 } }),
      { ready: { v1: 1 } },
      'a ready instance of v2',
    ],
    ['soaking', soaking(), BEHIND, 'not counted: gateway g2'],
    [
      'analysing, blocked',
      analysing({ window: window() }),
      { blocked_by: ['ZooKeeper is degraded'] },
      'ZooKeeper is degraded',
    ],
    [
      'analysing, min_available',
      analysing({ window: window() }),
      { min_available: 3 },
      'min_available asks for 3',
    ],
    ['paused', paused(), {}, 'a person'],
    ['finalizing, not acked', finalizing(), { intent_shares: { v2: 100 }, ...BEHIND }, 'gateway g2'],
    ['rolling back, nobody to serve', back(), { ready: { v2: 1 } }, 'a ready instance of v1'],
  ])('%s', (_name, record, facts, expected) => {
    const result = advance(record, buildFacts(facts), T + 1_000);
    expect(result).toMatchObject({ moved: false, write_shares: null });
    expect(result.record.rev).toBe(record.rev);
    expect(result.waiting_for.join('; ')).toContain(expected);
  });
  it('writes the shares down before it ends, and only what is not written yet', () => {
    expect(advance(finalizing(), buildFacts(), T)).toMatchObject({ moved: false, write_shares: { v2: 100 } });
    expect(advance(back(), buildFacts({ intent_shares: { v1: 50, v2: 50 } }), T).write_shares).toEqual({
      v1: 100,
    });
    expect(advance(back(), buildFacts({ ready: { v2: 1 } }), T).write_shares).toBe(null);
  });
  it('an end is an end', () => {
    const ended = at({ state: 'succeeded', ended_at: '2026-05-01T12:00:00.000Z' });
    expect(advance(ended, buildFacts({ blocked_by: ['x'] }), T + 9)).toEqual({
      record: ended,
      moved: false,
      waiting_for: [],
      write_shares: null,
    });
  });
});

describe('what counts', () => {
  it('a soak counts only while it is watched, obeyed, and served', () => {
    const soaked = (facts: Partial<ReleaseFacts>, ms: number): number =>
      advance(soaking(), buildFacts(facts), T + ms).record.observed_ms;
    expect(soaked({}, 3_000)).toBe(3_000);
    expect(soaked({}, 5_001)).toBe(0);
    expect(soaked(BEHIND, 3_000)).toBe(0);
    expect(soaked({ watcher: 'run-2' }, 3_000)).toBe(0);
    expect(soaked({ published: false }, 3_000)).toBe(0);
    expect(soaked({ ready: { v1: 2 } }, 3_000)).toBe(0);
    expect(soaked({}, -3_000)).toBe(0);
  });
  it('the same facts at the same moment add nothing', () => {
    const facts = buildFacts({ totals: { v1: counts(90), v2: counts(10) } });
    const once = advance(soaking({ window: window(counts(50), counts(5)) }), facts, T + 1_000).record;
    expect(once.window?.sum).toEqual({ stable: counts(90), target: counts(10) });
    expect(advance(once, facts, T + 1_000).record).toEqual(once);
  });
  it('another controller counts from its own start: nothing is lost of what was written, and nothing counted twice', () => {
    const facts = buildFacts({ watcher: 'run-2', totals: { v1: counts(7), v2: counts(3) } });
    const first = advance(soaking({ window: window() }), facts, T + 1_000).record;
    expect(first.window?.sum).toEqual({ stable: counts(900), target: counts(100) });
    const later = buildFacts({ watcher: 'run-2', totals: { v1: counts(17), v2: counts(4) } });
    expect(advance(first, later, T + 2_000).record.window?.sum.stable).toEqual(counts(910));
  });
  it('time is split by what it was spent on', () => {
    const spent = (record: ReleaseRecord): object => {
      const { times } = advance(record, buildFacts({ ...BEHIND, published: false }), T + 7_000).record;
      return Object.fromEntries(Object.entries(times).filter(([, ms]) => ms > 0));
    };
    expect(spent(paused())).toEqual({ paused_ms: 7_000 });
    expect(spent(soaking())).toEqual({ active_ms: 7_000 });
    expect(spent(at({ state: 'progressing', phase: 'converging' }))).toEqual({ converging_ms: 7_000 });
    expect(spent(back())).toEqual({ converging_ms: 7_000 });
  });
});

describe('gates', () => {
  it('failures within the limit are put up with, and each begins a new window', () => {
    const lenient = { ...soaking().gates, failure_limit: 1 };
    const bad = { window: window(counts(900), counts(100, 9)), observed_ms: 6_000, gates: lenient };
    const first = advance(soaking(bad), buildFacts(), T);
    expect(first).toMatchObject({ moved: true, record: { phase: 'soaking', failures: 1, window: null } });
    const second = advance(
      { ...first.record, observed_ms: 20_000, phase: 'analysing', window: bad.window },
      buildFacts(),
      T,
    );
    expect(second.record).toMatchObject({ state: 'rolling_back', ending: 'rolled_back' });
  });
  it.each([
    ['pass', { phase: 'applying', step: 2 }],
    ['fail', { state: 'rolling_back' }],
    ['pause', { state: 'paused', paused: { cause: 'gate' } }],
  ] as const)('inconclusive: %s', (on_inconclusive, expected) => {
    const gates = { ...soaking().gates, on_inconclusive };
    expect(advance(analysing({ gates }), buildFacts(), T).record).toMatchObject(expected);
  });
  const recent = { v1: counts(1_000), v2: counts(60, 30) };
  it.each([
    ['soaking', soaking()],
    ['paused', paused()],
    ['finalizing', finalizing()],
    ['applying', at({ state: 'progressing', phase: 'applying', shares: { v1: 90, v2: 10 } })],
  ])('the fast gate speaks while %s', (_name, record) => {
    const result = advance(record, buildFacts({ recent, blocked_by: ['protection'], ...BEHIND }), T);
    expect(result.record).toMatchObject({
      state: 'rolling_back',
      shares: { v1: 100 },
      ending: 'rolled_back',
    });
    expect(result.record.message).toContain('50 % of 60 requests');
  });
  it('the fast gate is silent where it is off, or the target has no share', () => {
    const off = soaking({ gates: { ...soaking().gates, fast: false } });
    expect(advance(off, buildFacts({ recent }), T).moved).toBe(false);
    expect(advance(at({ state: 'preparing' }), buildFacts({ recent, published: false }), T).moved).toBe(
      false,
    );
  });
});

it('a record that contradicts itself is refused', () => {
  expect(() => advance(at({ shares: { v1: 90 } }), buildFacts(), T)).toThrow('shares sum to 90');
  expect(() => advance(at({ state: 'progressing' }), buildFacts(), T)).toThrow('without a phase');
});
