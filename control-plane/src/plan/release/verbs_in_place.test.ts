import { describe, expect, it } from 'vitest';
import type { ReleaseRecord, Verb, VerbName } from '../../model/release.js';
import type { InPlaceProgress } from '../../model/release_strategy.js';
import type { InPlaceRequest } from '../../model/release_plane.js';
import {
  buildBatchInstance as one,
  buildFacts,
  buildInPlace,
  buildInstanceFacts as fact,
  buildRelease,
  progressOf,
  RELEASE_AT as T,
  type InPlaceParts,
} from '../../testing/releases.js';
import { advance } from './advance.js';
import { guardStart } from './guards.js';
import { startRelease, type StartRequest, type StartState } from './start.js';
import { obey } from './verbs.js';

const place = (progress: Partial<InPlaceProgress> = {}) => ({ progress });
const FACTS = buildFacts({ instances: [fact('i1', { version: 'v2' }), fact('i2'), fact('i3')] });
const soaking = (parts: InPlaceParts = {}): ReleaseRecord =>
  buildInPlace(
    { state: 'progressing', phase: 'soaking', ...place({ batch: [one('i1', 'done')] }), ...parts },
    { soak_ms: 60_000 },
  );
const upgrading = (parts: InPlaceParts = {}): ReleaseRecord =>
  soaking({ phase: 'upgrading', ...place({ batch: [one('i1', 'done'), one('i2', 'upgrading')] }), ...parts });
const pausedIn = (phase: ReleaseRecord['phase'], cause: 'drain' | 'person' = 'person') => ({
  state: 'paused' as const,
  phase: null,
  paused: { cause, by: 'ann', message: '', state: 'progressing' as const, phase },
});
const said = (record: ReleaseRecord, name: VerbName, more: Partial<Verb> = {}, facts = FACTS) => {
  const verb = { verb: name, expected_step: record.step, full: false, ...more };
  return obey(record, verb, { by: 'ann', reason: '', idempotency_key: null, force: false }, facts, T);
};
const reported = (...args: Parameters<typeof said>): ReleaseRecord => {
  const done = said(...args);
  if (!done.ok) throw new Error(done.error.detail);
  return done.value.record;
};

describe('verbs', () => {
  it('promote ends the soak, and a guard may contain the next batch up', () => {
    expect(reported(soaking(), 'promote')).toMatchObject({
      phase: 'applying',
      step: 1,
      ...{ state: 'progressing' },
    });
    expect(said(soaking(), 'promote', {}, { ...FACTS, blocked_by: ['protection'] })).toMatchObject({
      error: { code: 'guard_refused', blockers: ['protection'] },
    });
    expect(said(upgrading(), 'promote')).toMatchObject({ error: { code: 'conflict' } });
  });
  it('promote by force ends the soak, and still drains nobody against a guard', () => {
    const verb: Verb = { verb: 'promote', expected_step: 0, full: false };
    const context = { by: 'ann', reason: 'late', idempotency_key: null, force: true };
    const done = obey(soaking(), verb, context, { ...FACTS, blocked_by: ['protection'] }, T);
    expect(done).toMatchObject({
      value: { changed: true, record: { phase: 'warming', step: 0, strategy: { progress: { batch: [] } } } },
    });
    // Two people force the same soak: one end of it.
    if (!done.ok) return;
    const again = obey(done.value.record, verb, context, { ...FACTS, blocked_by: ['protection'] }, T);
    expect(again).toEqual({ ok: true, value: { record: done.value.record, changed: false } });
  });
  it('skip leaves a batch of the way back out, if it is the one that was seen', () => {
    const back = upgrading({ state: 'rolling_back', ending: 'rolled_back', step: 4 });
    expect(reported(back, 'skip')).toMatchObject({
      ...{ state: 'rolling_back', step: 5 },
      strategy: { progress: { left_out: [{ id: 'i2', to: 'v1', asked: true }] } },
    });
    expect(reported(back, 'skip', { expected_step: 3 })).toBe(back);
    expect(said(back, 'skip', { expected_step: 5 })).toMatchObject({ error: { code: 'conflict' } });
    const blocked_by = reported(back, 'skip', {}, { ...FACTS, min_available: 3 });
    expect(blocked_by).toMatchObject({
      state: 'rolling_back',
      phase: 'warming',
      strategy: { progress: { batch: [] } },
    });
    const other = upgrading({ state: 'rolling_back', ending: 'rolled_back', phase: null });
    expect(said(other, 'skip')).toMatchObject({ error: { code: 'conflict' } });
    for (const verb of ['retry', 'promote'] as const)
      for (const expected_step of [3, 4])
        expect(said(back, verb, { expected_step })).toMatchObject({ error: { code: 'conflict' } });
  });
  it('skip of a soak under a guard does not soak again', () => {
    const guarded = { ...FACTS, blocked_by: ['protection'] };
    const skipped = reported(soaking(), 'skip', {}, guarded);
    const next = advance(skipped, guarded, T);
    expect([skipped.phase, next.moved, next.waiting_for]).toEqual(['warming', false, ['protection']]);
  });
  it('promote --full leaves all soaks out, also from a pause', () => {
    expect(reported(upgrading(), 'promote', { full: true })).toMatchObject({
      phase: 'upgrading',
      strategy: { progress: { full: true } },
    });
    const resumed = reported(upgrading(pausedIn('upgrading')), 'promote', { full: true });
    expect(resumed).toMatchObject({
      state: 'progressing',
      phase: 'upgrading',
      strategy: { progress: { full: true } },
    });
    expect(reported(soaking(), 'promote', { full: true })).toMatchObject({
      step: 1,
      strategy: { progress: { full: true } },
    });
  });
  it('skip leaves out whoever is not done, and begins the next batch', () => {
    const next = reported(upgrading(), 'skip');
    expect(next).toMatchObject({ phase: 'applying', step: 1 });
    expect(progressOf(next)).toMatchObject({
      batch: [{ id: 'i3' }],
      left_out: [{ id: 'i2', asked: true, to: 'v2' }],
    });
    const blocked_by = reported(upgrading(), 'skip', {}, { ...FACTS, blocked_by: ['protection'] });
    expect(blocked_by).toMatchObject({ phase: 'warming', step: 0 });
    expect(reported(upgrading(pausedIn('draining', 'drain')), 'skip')).toMatchObject({
      state: 'progressing',
      step: 1,
    });
  });
  it('retry begins with the unfinished again, under another key; in a soak with a fresh window', () => {
    expect(reported(upgrading({ observed_ms: 9 }), 'retry')).toMatchObject({
      ...{ phase: 'applying', step: 0, attempt: 2, observed_ms: 0 },
      strategy: {
        progress: {
          batch: [{ state: 'done' }, { state: 'draining', named: false, asked: true }],
          called: null,
        },
      },
    });
    expect(reported(soaking({ observed_ms: 9 }), 'retry')).toMatchObject({
      phase: 'soaking',
      attempt: 2,
      observed_ms: 0,
    });
  });
  it('a pause keeps the phase and what was counted in it; after a drain that took too long counting begins again', () => {
    const paused = reported(upgrading({ observed_ms: 9 }), 'pause');
    expect(paused).toMatchObject({ state: 'paused', paused: { phase: 'upgrading' }, observed_ms: 9 });
    expect(reported(paused, 'resume')).toMatchObject({ phase: 'upgrading', observed_ms: 9 });
    const late = upgrading({ ...pausedIn('draining', 'drain'), observed_ms: 9 });
    expect(reported(late, 'resume')).toMatchObject({ phase: 'draining', observed_ms: 0 });
  });
  it('abort and rollback take what is under way with them', () => {
    for (const name of ['abort', 'rollback'] as const)
      expect(reported(upgrading(), name)).toMatchObject({
        ...{ state: 'rolling_back', phase: null, shares: {} },
        strategy: { progress: { batch: [{ id: 'i2', state: 'draining', asked: true, named: false }] } },
      });
  });
});

describe('start', () => {
  const inPlace: InPlaceRequest = {
    kind: 'in_place',
    ...{ batch: null, max_unavailable: null, max_failed: null, upgrade: { person: true } },
    ...{ upgrade_timeout_ms: null, drain_timeout_ms: null, soak_ms: null, stragglers: null },
  };
  const request: StartRequest = {
    ...{ service: 'shop', target: 'v2', stable: null, strategy: inPlace, like: null },
    ...{ gates: {}, deadline_ms: null, start_deadline_ms: null, min_ready: null, supersede: false },
  };
  const state: StartState = {
    releases: { current: null, history: [] },
    intent_shares: {},
    ready: { v1: 3 },
    drain_timeout_ms: 45_000,
    ...{ newId: 'rel-9', by: 'ann', reason: '', now: T },
  };
  const running = (record: ReleaseRecord): StartState => ({
    ...state,
    releases: { current: { service: 'shop', record, etag: '1' }, history: [] },
  });

  const guardsOf = (asked: StartRequest, of: StartState): readonly string[] => {
    const started = startRelease(asked, of);
    if (!started.ok) throw new Error(started.error.detail);
    const { intent_shares, ready } = of;
    const inForce = of.releases.current?.record.shares ?? null;
    return guardStart(started.value.record, buildFacts({ intent_shares, ready }), inForce);
  };

  it('has defaults, and asks for no shares', () => {
    expect(startRelease(request, state)).toMatchObject({
      value: {
        record: {
          ...{ stable: 'v1', base: {}, shares: {} },
          strategy: {
            ...{
              kind: 'in_place',
              batch: { count: 1 },
              max_unavailable: { count: 1 },
              max_failed: 0,
              soak_ms: 0,
              progress: { batch: [], left_out: [] },
            },
            ...{ upgrade: { person: true }, upgrade_timeout_ms: 600_000, drain_timeout_ms: 45_000 },
          },
        },
      },
    });
    const batch = { percent: 20 };
    const started = startRelease({ ...request, strategy: { ...inPlace, batch } }, state);
    expect(started).toMatchObject({ value: { record: { strategy: { max_unavailable: batch } } } });
  });
  it('is refused where a version is aside with no share', () => {
    const aside = { ...state, intent_shares: { v1: 100 }, ready: { v1: 3, v3: 1 } };
    expect(guardsOf(request, aside)).toEqual([
      expect.stringContaining('v3 from 0 % to about 25 %') as string,
    ]);
    expect(guardsOf(request, { ...aside, ready: { v1: 3 } })).toEqual([]);
  });
  it('is refused in the place of a weighted one whose target would gain by weights', () => {
    const canary = buildRelease({ state: 'progressing', phase: 'soaking', shares: { v1: 95, v2: 5 } });
    const over = { ...request, target: 'v3', supersede: true };
    const both = { ...running(canary), ready: { v1: 3, v2: 3 } };
    expect(guardsOf(over, both)).toEqual([expect.stringContaining('v2 from 5 % to about 50 %') as string]);
    expect(guardsOf(over, { ...both, ready: { v1: 3 } })).toEqual([]);
    const half = { ...canary, shares: { v1: 50, v2: 50 } };
    expect(guardsOf(over, { ...running(half), ready: both.ready })).toEqual([]);
  });
  it('takes over what is under way, and goes back to the version before', () => {
    const next = startRelease({ ...request, target: 'v3', supersede: true }, running(upgrading()));
    expect(next).toMatchObject({
      value: {
        record: {
          stable: 'v1',
          strategy: {
            progress: { batch: [{ id: 'i2', state: 'draining', asked: true, named: false }] },
          },
        },
        superseded: { state: 'superseded' },
      },
    });
  });
  it('does not take the place of one that goes back; a weighted one not that of one with a drained batch', () => {
    const back = buildRelease({ state: 'rolling_back', ending: 'rolled_back' });
    expect(startRelease({ ...request, target: 'v3', supersede: true }, running(back))).toMatchObject({
      error: { code: 'conflict' },
    });
    const weighted = { ...request, target: 'v3', strategy: null, supersede: true };
    expect(startRelease(weighted, running(upgrading()))).toMatchObject({ error: { code: 'conflict' } });
    const between = startRelease(weighted, { ...running(soaking()), ready: { v1: 2, v2: 1 } });
    expect(between).toMatchObject({ value: { record: { base: { v1: 67, v2: 33 } } } });
  });
  it('like an earlier one, without its soaks', () => {
    const before = soaking({
      id: 'rel-3',
      state: 'succeeded',
      phase: null,
      ended_at: new Date(T).toISOString(),
    });
    const history = { ...state, releases: { current: null, history: [before] } };
    const undo = { ...request, strategy: null, target: 'v0', like: 'rel-3' };
    expect(startRelease(undo, history)).toMatchObject({
      value: { record: { strategy: { ...before.strategy, soak_ms: 0, progress: { batch: [] } } } },
    });
    expect(startRelease({ ...undo, like: 'rel-4' }, history)).toMatchObject({ error: { code: 'not_found' } });
  });
});
