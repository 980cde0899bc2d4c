import { describe, expect, it } from 'vitest';
import { type ReleaseRecord, VERBS, type Verb, type VerbName, hasEnded } from '../../model/release.js';
import { buildFacts, buildRelease, RELEASE_AT as T, buildWeighted } from '../../testing/releases.js';
import { advance } from './advance.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import { startRelease, versionBefore, type StartRequest, type StartState } from './start.js';
import { describePauses } from './pauses.js';
import { obey, type VerbContext } from './verbs.js';

const CONTEXT: VerbContext = { by: 'ann', reason: '', idempotency_key: null, force: false };
const verb = (name: VerbName, expected_step: number | null = null, full = false): Verb => ({
  verb: name,
  expected_step,
  full,
});
const STEPS = [
  { weight: 10 },
  { pause: {} },
  { weight: 50 },
  { pause: { for_ms: 9_000 } },
  { weight: 100 },
] as const;
const built = (parts: Partial<ReleaseRecord>): ReleaseRecord =>
  buildRelease({ strategy: buildWeighted(STEPS), ...parts });

/** One record in every state, and in every phase of a weighted step. */
const STATES: Readonly<Record<string, ReleaseRecord>> = {
  pending: built({}),
  preparing: built({ state: 'preparing' }),
  applying: built({ state: 'progressing', phase: 'applying', shares: { v1: 90, v2: 10 } }),
  converging: built({ state: 'progressing', phase: 'converging', shares: { v1: 90, v2: 10 } }),
  warming: built({ state: 'progressing', phase: 'warming', shares: { v1: 90, v2: 10 } }),
  'paused by its step': built({
    state: 'paused',
    step: 1,
    paused: { cause: 'step', by: 'controller', message: '', state: 'progressing', phase: 'soaking' },
    shares: { v1: 90, v2: 10 },
  }),
  'paused by a person': built({
    state: 'paused',
    step: 3,
    observed_ms: 4_000,
    paused: { cause: 'person', by: 'bob', message: '', state: 'progressing', phase: 'soaking' },
    shares: { v1: 50, v2: 50 },
  }),
  'paused by a gate': built({
    state: 'paused',
    step: 3,
    paused: { cause: 'gate', by: 'controller', message: '', state: 'progressing', phase: 'soaking' },
    shares: { v1: 50, v2: 50 },
  }),
  soaking: built({ state: 'progressing', phase: 'soaking', step: 3, shares: { v1: 50, v2: 50 } }),
  analysing: built({ state: 'progressing', phase: 'analysing', step: 3, shares: { v1: 50, v2: 50 } }),
  finalizing: built({ state: 'finalizing', step: 5, shares: { v2: 100 } }),
  rolling_back: built({ state: 'rolling_back', ending: 'rolled_back', step: 3 }),
  succeeded: built({ state: 'succeeded', step: 5, shares: { v2: 100 }, ended_at: 'x' }),
  rolled_back: built({ state: 'rolled_back', ending: 'rolled_back', step: 3, ended_at: 'x' }),
  cancelled: built({ state: 'cancelled', ending: 'cancelled', step: 3, ended_at: 'x' }),
};

function said(
  record: ReleaseRecord,
  what: Verb,
  context: Partial<VerbContext> = {},
  facts: Partial<ReleaseFacts> = {},
) {
  const done = obey(record, what, { ...CONTEXT, ...context }, buildFacts(facts), T);
  if (!done.ok) return done.error.code;
  return done.value.changed ? done.value.record : 'same';
}
function summary(result: ReturnType<typeof said>): string {
  if (typeof result === 'string') return result;
  return `${result.state}${result.phase === null ? '' : ` ${result.phase}`} ${String(result.step)}`;
}

describe('every verb in every state', () => {
  const rows: Readonly<Record<string, Readonly<Record<VerbName, string>>>> = Object.fromEntries(
    Object.entries(STATES).map(([name, record]) => [
      name,
      Object.fromEntries(VERBS.map((one) => [one, summary(said(record, verb(one, record.step)))])) as Record<
        VerbName,
        string
      >,
    ]),
  );
  const back = { abort: 'rolling_back 0', rollback: 'rolling_back 0' };
  const back3 = { abort: 'rolling_back 3', rollback: 'rolling_back 3' };
  const none = {
    pause: 'conflict',
    resume: 'conflict',
    promote: 'conflict',
    skip: 'conflict',
    retry: 'conflict',
  };
  const moving = {
    pause: 'paused 0',
    resume: 'same',
    promote: 'conflict',
    skip: 'paused 1',
    retry: 'progressing applying 0',
  };
  it.each<[string, Readonly<Record<VerbName, string>>]>([
    ['pending', { ...none, resume: 'same', ...back }],
    ['preparing', { ...none, pause: 'paused 0', resume: 'same', ...back }],
    ['applying', { ...moving, ...back }],
    ['converging', { ...moving, ...back }],
    ['warming', { ...moving, ...back }],
    [
      'paused by its step',
      {
        pause: 'paused 1',
        resume: 'conflict',
        promote: 'progressing applying 2',
        skip: 'progressing applying 2',
        retry: 'paused 1',
        abort: 'rolling_back 1',
        rollback: 'rolling_back 1',
      },
    ],
    [
      'paused by a person',
      {
        pause: 'paused 3',
        resume: 'progressing soaking 3',
        promote: 'progressing applying 4',
        skip: 'progressing applying 4',
        retry: 'progressing soaking 3',
        ...back3,
      },
    ],
    [
      'paused by a gate',
      {
        pause: 'paused 3',
        resume: 'progressing soaking 3',
        promote: 'progressing applying 4',
        skip: 'progressing applying 4',
        retry: 'progressing soaking 3',
        ...back3,
      },
    ],
    [
      'soaking',
      {
        pause: 'paused 3',
        resume: 'same',
        promote: 'progressing applying 4',
        skip: 'progressing applying 4',
        retry: 'progressing soaking 3',
        ...back3,
      },
    ],
    [
      'analysing',
      {
        pause: 'paused 3',
        resume: 'same',
        promote: 'progressing applying 4',
        skip: 'progressing applying 4',
        retry: 'progressing soaking 3',
        ...back3,
      },
    ],
    ['finalizing', { ...none, resume: 'same', abort: 'rolling_back 5', rollback: 'rolling_back 5' }],
    ['rolling_back', { ...none, resume: 'same', abort: 'same', rollback: 'same' }],
    ['succeeded', { ...none, abort: 'conflict', rollback: 'conflict' }],
    ['rolled_back', { ...none, abort: 'conflict', rollback: 'same' }],
    ['cancelled', { ...none, abort: 'same', rollback: 'conflict' }],
  ])('%s', (name, expected) => {
    expect(rows[name]).toEqual(expected);
  });
});

describe('steps', () => {
  const waiting = STATES['paused by its step'] as ReleaseRecord;
  it('a step that was promoted is not promoted again', () => {
    const first = said(waiting, verb('promote', 1)) as ReleaseRecord;
    expect(first.step).toBe(2);
    expect(said(first, verb('promote', 1))).toBe('same');
    expect(said(first, verb('skip', 1))).toBe('same');
    expect(said(first, verb('promote', 3))).toBe('conflict');
  });
  it('needs to know which step is meant', () => {
    expect(said(waiting, verb('promote'))).toBe('invalid_request');
  });
  it('the whole way', () => {
    const full = said(waiting, verb('promote', 1, true)) as ReleaseRecord;
    expect(full).toMatchObject({ step: 4, phase: 'applying', shares: { v2: 100 } });
    expect(said(full, verb('promote', 4, true))).toBe('same');
  });
  it('guards refuse, and force does not ask them', () => {
    expect(said(waiting, verb('promote', 1), {}, { blocked_by: ['protection'] })).toBe('guard_refused');
    expect(said(waiting, verb('promote', 1, true), {}, { ready: { v1: 3, v2: 1 }, min_available: 2 })).toBe(
      'guard_refused',
    );
    expect(said(waiting, verb('promote', 1), { force: true }, { blocked_by: ['protection'] })).toMatchObject({
      step: 2,
    });
  });
  it('a pause by a person keeps what was soaked; a retry does not', () => {
    const blocked_by = STATES['paused by a person'] as ReleaseRecord;
    expect(said(blocked_by, verb('resume'))).toMatchObject({ observed_ms: 4_000 });
    expect(said(blocked_by, verb('retry', 3))).toMatchObject({ observed_ms: 0, attempt: 2 });
  });
});

it('a key acts once, and not for another request', () => {
  const key = { idempotency_key: 'k-1' };
  const first = said(STATES['soaking'] as ReleaseRecord, verb('retry', 3), key) as ReleaseRecord;
  expect(said(first, verb('retry', 3), key)).toBe('same');
  expect(said(first, verb('skip', 3), key)).toBe('idempotency_conflict');
});

it('abort and rollback lead from every state to the stable version alone', () => {
  for (const record of Object.values(STATES).filter((one) => !hasEnded(one.state)))
    for (const name of ['abort', 'rollback'] as const) {
      let next = said(record, verb(name));
      if (next === 'same') next = record;
      let at = next as ReleaseRecord;
      for (let looks = 0; looks < 3; looks += 1)
        at = advance(at, buildFacts({ intent_shares: { v1: 100 }, blocked_by: ['protection'] }), T).record;
      expect(at.shares).toEqual({ v1: 100 });
      expect(hasEnded(at.state)).toBe(true);
    }
});

describe('start', () => {
  const request: StartRequest = {
    service: 'shop',
    target: 'v2',
    stable: null,
    strategy: { kind: 'weighted', steps: [{ weight: 50 }] },
    like: null,
    gates: {},
    deadline_ms: null,
    start_deadline_ms: null,
    min_ready: null,
    supersede: false,
  };
  const state: StartState = {
    releases: { current: null, history: [] },
    intent_shares: {},
    ready: { v1: 2 },
    drain_timeout_ms: 60_000,
    newId: 'rel-9',
    by: 'ann',
    reason: 'new prices',
    now: T,
  };
  const running = (record: ReleaseRecord): StartState => ({
    ...state,
    releases: { current: { service: 'shop', record, etag: '1-1' }, history: [] },
  });
  it('begins with everything on the stable version, and ends with 100 %', () => {
    expect(startRelease(request, state)).toMatchObject({
      ok: true,
      value: {
        superseded: null,
        record: {
          id: 'rel-9',
          n: 1,
          stable: 'v1',
          shares: { v1: 100 },
          state: 'pending',
          strategy: { steps: [{ weight: 50 }, { weight: 100 }] },
        },
      },
    });
  });
  it.each<[string, Partial<StartState>, string | null]>([
    ['the one with all of the shares', { intent_shares: { v7: 100 } }, 'v7'],
    ['the only other one that is ready', { ready: { v1: 1, v2: 1 } }, 'v1'],
    [
      'the last that succeeded',
      { ready: {}, releases: { current: null, history: [built({ ...STATES['succeeded'], target: 'v5' })] } },
      'v5',
    ],
    ['nobody knows', { ready: { v1: 1, v3: 1 } }, null],
  ])('the stable version: %s', (_name, parts, expected) => {
    const started = startRelease(request, { ...state, ...parts });
    if (expected === null) expect(started).toMatchObject({ ok: false, error: { field: 'body.stable' } });
    else expect(started).toMatchObject({ ok: true, value: { record: { stable: expected } } });
  });
  it('refuses a second release, and one to where it is', () => {
    expect(startRelease(request, running(STATES['soaking'] as ReleaseRecord))).toMatchObject({
      ok: false,
      error: { code: 'conflict' },
    });
    expect(startRelease({ ...request, target: 'v1', stable: 'v1' }, state)).toMatchObject({ ok: false });
  });
  it('supersedes at every state: from the shares in force, and back to the last version that succeeded', () => {
    for (const record of Object.values(STATES).filter((one) => !hasEnded(one.state))) {
      const started = startRelease({ ...request, target: 'v3', supersede: true }, running(record));
      expect(started).toMatchObject({
        ok: true,
        value: {
          record: { stable: 'v1', target: 'v3', shares: record.shares, base: record.shares, n: 2 },
          superseded: { id: 'rel-1', state: 'superseded' },
        },
      });
    }
  });
  it('knows the version before', () => {
    expect(
      versionBefore({
        current: null,
        history: [STATES['succeeded'] as ReleaseRecord, STATES['cancelled'] as ReleaseRecord],
      }),
    ).toBe('v1');
    expect(versionBefore({ current: null, history: [] })).toBe(null);
  });
});

describe('pauses after the last weight', () => {
  const steps = [
    { weight: 5 },
    { pause: {} },
    { weight: 100 },
    { pause: { for_ms: 9_000 } },
    { pause: {} },
  ] as const;
  const at = (step: number, parts: Partial<ReleaseRecord> = {}): ReleaseRecord =>
    buildRelease({
      ...{ strategy: buildWeighted(steps), state: 'progressing', phase: 'soaking', step },
      ...{ shares: step < 2 ? { v1: 95, v2: 5 } : { v2: 100 }, ...parts },
    });
  const full = (record: ReleaseRecord): ReleaseRecord => {
    const done = obey(record, verb('promote', record.step, true), CONTEXT, buildFacts(), T);
    if (!done.ok) throw new Error(done.error.detail);
    return done.value.record;
  };

  it('promote --full goes to the last weight, and from a pause after it to the end', () => {
    expect(full(at(1))).toMatchObject({ step: 2, phase: 'applying', shares: { v2: 100 } });
    const last = at(2, { phase: 'applying' });
    expect(full(last)).toBe(last);
    expect(full(at(3))).toMatchObject({ step: 5, state: 'finalizing' });
  });
});

it('the key of a verb that had its effect already is remembered: its repeat does not act later', () => {
  const paused = built({
    ...{ state: 'paused', shares: { v1: 90, v2: 10 } },
    paused: {
      ...{ cause: 'person', by: 'ann', message: 'pause by ann' },
      ...{ state: 'progressing', phase: 'soaking' },
    },
  });
  const keyed = { ...CONTEXT, idempotency_key: 'k1' };
  const first = obey(paused, verb('pause'), keyed, buildFacts(), T);
  expect(first).toMatchObject({ value: { changed: false, record: { verbs: [{ key: 'k1' }] } } });
  if (!first.ok) return;
  const resumed = obey(first.value.record, verb('resume'), CONTEXT, buildFacts(), T);
  if (!resumed.ok) throw new Error(resumed.error.detail);
  const again = obey(resumed.value.record, verb('pause'), keyed, buildFacts(), T);
  expect(again).toEqual({ ok: true, value: { record: resumed.value.record, changed: false } });
});

describe('a pause over a pause', () => {
  const byGate = STATES['paused by a gate']!;
  const after = (
    record: ReleaseRecord,
    name: VerbName,
    by: string,
    reason = '',
    step: number | null = null,
  ) => {
    const result = said(record, verb(name, step), { by, reason });
    if (typeof result === 'string') throw new Error(result);
    return result;
  };
  const last = (record: ReleaseRecord) => record.events.at(-1)?.message;

  it('by a person lies over the one of a gate, and the resume uncovers that', () => {
    const paused = after(byGate, 'pause', 'ann', 'on the phone');
    expect(paused.paused).toMatchObject({ cause: 'person', by: 'ann', over: [{ cause: 'gate' }] });
    expect(last(paused)).toBe('pause by ann: on the phone; over: paused by controller (gate): ');
    expect(describePauses(byGate, paused)).toEqual(['over: paused by controller (gate): ']);
    const both = after(paused, 'pause', 'bob', 'me too');
    expect(both.paused?.over?.map(({ by }) => by)).toEqual(['ann', 'controller']);
    const one = after(both, 'resume', 'eve');
    expect(last(one)).toBe(
      'resume by eve; takes back: pause by bob: me too; still paused: pause by ann: on the phone',
    );
    expect(one).toMatchObject({ state: 'paused', paused: { by: 'ann', over: [{ cause: 'gate' }] } });
    expect(describePauses(both, one)).toEqual([
      'takes back: pause by bob: me too',
      'still paused: pause by ann: on the phone',
    ]);
    const gate = after(one, 'resume', 'eve');
    expect(gate).toMatchObject({ state: 'paused', paused: { cause: 'gate', by: 'controller' } });
    expect(gate.paused?.over).toBeUndefined();
    expect(after(gate, 'resume', 'eve').state).toBe('progressing');
  });

  it('the same word again changes nothing, and a newer one of the same person replaces it', () => {
    const paused = after(byGate, 'pause', 'ann', 'x');
    expect(said(paused, verb('pause'), { by: 'ann', reason: 'x' })).toBe('same');
    expect(after(paused, 'pause', 'ann', 'y').paused).toMatchObject({ over: [{ cause: 'gate' }] });
  });

  it('the answer says whose pause was ended', () => {
    const paused = after(STATES['paused by its step']!, 'pause', 'ann', 'wait for me');
    expect(said(paused, verb('promote', 1), { by: 'ann' })).toMatchObject({ state: 'progressing' });
    const gone = after(paused, 'promote', 'bob', 'go', 1);
    expect(gone.events.map(({ message }) => message)).toContain(
      'go; past the pause of another: pause by ann: wait for me',
    );
    expect(last(after(paused, 'abort', 'bob'))).toContain(
      'past the pause of another: pause by ann: wait for me',
    );
    expect(last(after(STATES['paused by a person']!, 'resume', 'ann'))).toContain('takes back');
  });
});
