import { describe, expect, it } from 'vitest';
import type { ReleaseRecord } from '../../model/release.js';
import type { AnswerVerdict, GateAnswer } from '../../model/release_gates.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import {
  buildCounts as counts,
  buildFacts,
  buildRelease,
  RELEASE_AT as T,
  buildWeighted,
} from '../../testing/releases.js';
import { advance, type Advance } from './advance.js';
import { readOuter, spellOuter } from './inquiry.js';
import { questionsOf } from './questions.js';
import { obey } from './verbs.js';

/*
 * Gates that are asked outside: a round begins in the record, is asked from what is written, and is obeyed once it is written.
 */

const GATES = {
  ...buildRelease().gates,
  errors: null,
  latency: null,
  webhooks: [{ name: 'ci', url: 'http://ci/hooks', timeout_ms: 5_000 }],
  prometheus: [{ name: 'lag', query: 'lag{v="{{target}}"}', max: 5, min: null }],
};
const AT = new Date(T).toISOString();
const steps = [
  { weight: 10 },
  { pause: { for_ms: 20_000 } },
  { weight: 50 },
  { pause: {} },
  { weight: 100 },
] as const;
const soaking = (record: Partial<ReleaseRecord> = {}): ReleaseRecord =>
  buildRelease({
    strategy: buildWeighted(steps),
    state: 'progressing',
    phase: 'soaking',
    step: 1,
    shares: { v1: 90, v2: 10 },
    gates: GATES,
    ...record,
  });
const said = (verdict: AnswerVerdict, value: number | null = null, message = ''): GateAnswer => ({
  verdict,
  value,
  message,
  at: AT,
});
const look = (record: ReleaseRecord, facts: Partial<ReleaseFacts> = {}, ms = 0): Advance =>
  advance(record, buildFacts(facts), T + ms);
/** The record with a round that was begun `n`th and answered so far. */
const asked = (
  answers: Readonly<Record<string, GateAnswer>>,
  record: Partial<ReleaseRecord> = {},
): ReleaseRecord =>
  soaking({
    observed_ms: 5_000,
    inquiry: { n: 1, at: AT, asked_ms: 5_000, readings: [], open: true, answers },
    ...record,
  });
const both = (ci: AnswerVerdict, lag: AnswerVerdict = 'pass'): Readonly<Record<string, GateAnswer>> => ({
  'webhook:ci': said(ci, null, 'says ci'),
  'prometheus:lag': said(lag, 7),
});
const atEnd = (
  answers: Readonly<Record<string, GateAnswer>>,
  record: Partial<ReleaseRecord> = {},
): ReleaseRecord => asked(answers, { phase: 'analysing', observed_ms: 20_000, ...record });

describe('a round', () => {
  it('begins after the interval, as a move that no ETag shows', () => {
    expect(look(soaking({ observed_ms: 4_999 })).moved).toBe(false);
    const begun = look(soaking({ observed_ms: 5_000 }));
    expect(begun).toMatchObject({
      moved: true,
      record: {
        rev: 1,
        events: [],
        phase: 'soaking',
        inquiry: { n: 1, at: AT, asked_ms: 5_000, readings: [], open: true },
      },
    });
  });
  it('asks only what is written and open, under keys that a repeat shares', () => {
    expect(questionsOf(soaking())).toEqual([]);
    const { record } = look(soaking({ observed_ms: 5_000 }));
    expect(questionsOf(record)).toEqual([
      {
        kind: 'webhook',
        key: 'rel-1/1/1/webhook:ci/1',
        url: 'http://ci/hooks',
        timeout_ms: 5_000,
        body: {
          ...{ release: 'rel-1', service: 'shop', step: 1, attempt: 1, stable: 'v1', target: 'v2' },
          ...{ shares: { v1: 90, v2: 10 }, gates: [], at: AT },
        },
      },
      { kind: 'prometheus', key: 'rel-1/1/1/prometheus:lag/1', query: 'lag{v="v2"}', max: 5, min: null },
    ]);
    expect(questionsOf(asked({ 'webhook:ci': said('pass') })).map(({ kind }) => kind)).toEqual([
      'prometheus',
    ]);
    expect(questionsOf(asked(both('pass')))).toEqual([]);
  });
  it('writes an answer down before anything follows from it', () => {
    const answers = { 'rel-1/1/1/webhook:ci/1': said('abort'), 'rel-1/1/1/webhook:ci/2': said('complete') };
    const reported = look(asked({}), { answers });
    expect(reported).toMatchObject({
      moved: true,
      record: { rev: 1, state: 'progressing', inquiry: { answers: { 'webhook:ci': { verdict: 'abort' } } } },
    });
    // The other gate is still being asked; once both are written, the weightiest is obeyed.
    expect(look(reported.record, { answers }).moved).toBe(false);
    const all = look(reported.record, { answers: { 'rel-1/1/1/prometheus:lag/1': said('pass', 1) } });
    expect(look(all.record).record).toMatchObject({ state: 'rolling_back', ending: 'rolled_back' });
  });
  it('is the next one after another interval, and not before the last one was answered', () => {
    expect(look(asked({}, { observed_ms: 11_000 })).moved).toBe(false);
    expect(look(asked(both('pass'), { observed_ms: 9_999 })).moved).toBe(false);
    expect(look(asked(both('pass'), { observed_ms: 10_000 })).record.inquiry).toMatchObject({
      n: 2,
      answers: {},
    });
  });
  it('is over with its step, its attempt, and with a pause; its number goes on within an attempt', () => {
    const paused = obey(
      asked({}),
      { verb: 'pause', expected_step: null, full: false },
      { by: 'ann', reason: '', idempotency_key: null, force: false },
      buildFacts(),
      T,
    );
    expect(paused).toMatchObject({ value: { record: { inquiry: { n: 1, open: false } } } });
    if (!paused.ok) return;
    expect(questionsOf(paused.value.record)).toEqual([]);
    const retried = obey(
      asked({}),
      { verb: 'retry', expected_step: 1, full: false },
      { by: 'ann', reason: '', idempotency_key: null, force: false },
      buildFacts(),
      T,
    );
    expect(retried).toMatchObject({ value: { record: { inquiry: null, attempt: 2 } } });
  });
});

describe('during a soak', () => {
  it.each<[string, ReturnType<typeof both>, object]>([
    ['abort goes back with its message', both('abort'), { state: 'rolling_back', ending: 'rolled_back' }],
    ['abort goes before everything', both('abort', 'fail'), { state: 'rolling_back' }],
    ['a sample beyond its limit fails', both('pass', 'fail'), { state: 'rolling_back' }],
    ['complete goes to the last step', both('complete'), { phase: 'applying', step: 4, shares: { v2: 100 } }],
    ['complete against a failure', both('complete', 'fail'), { state: 'rolling_back' }],
  ])('%s', (_name, answers, expected) => {
    expect(look(asked(answers))).toMatchObject({ moved: true, record: expected });
  });
  it.each([
    ['continue', both('pass')],
    ['wait', both('wait')],
    ['wait goes before complete', { ...both('complete'), 'prometheus:lag': said('wait') }],
    ['nothing that is understood', both('inconclusive')],
  ])('%s changes nothing', (_name, answers) => {
    expect(look(asked(answers)).moved).toBe(false);
  });
  it('says in its message who spoke', () => {
    expect(look(asked(both('abort'))).record.message).toBe('webhook:ci: abort (says ci)');
    expect(look(asked(both('pass', 'fail'))).record.message).toContain('prometheus:lag 7, limit 5: fail');
    expect(look(asked(both('complete'))).record.events.at(-2)).toMatchObject({
      event: 'promoted',
      by: 'webhook:ci',
    });
  });
  it('a failed sample within the limit of failures is put up with, and asked again an interval later', () => {
    const gates = { ...GATES, failure_limit: 1 };
    const once = look(asked(both('pass', 'fail'), { gates }));
    expect(once.record).toMatchObject({
      failures: 1,
      phase: 'soaking',
      inquiry: { open: false, asked_ms: 5_000 },
    });
    expect(look(once.record).moved).toBe(false);
    const again = look({ ...once.record, observed_ms: 10_000 });
    expect(again.record.inquiry).toMatchObject({ n: 2, open: true });
  });
  it('a failure that the counters find meanwhile ends the round: nobody is waited for, and the next one begins', () => {
    const sum = { stable: counts(900), target: counts(100, 9) };
    const gates = { ...GATES, failure_limit: 1, errors: { max_percent: 1, ratio: 2 } };
    const failed = look(asked({}, { gates, window: { watcher: 'run-1', last: sum, sum }, checked_ms: 0 }));
    expect(failed.record).toMatchObject({ failures: 1, phase: 'soaking', inquiry: { open: false } });
    expect(questionsOf(failed.record)).toEqual([]);
    expect(look({ ...failed.record, observed_ms: 10_000 }).record.inquiry).toMatchObject({
      n: 2,
      open: true,
    });
  });
  it('complete waits for the guards, and gives way to what the counters say', () => {
    expect(look(asked(both('complete')), { blocked_by: ['protection'] })).toMatchObject({
      moved: false,
      waiting_for: ['protection'],
    });
    const window = {
      watcher: 'run-1',
      last: { stable: counts(900), target: counts(100, 9) },
      sum: { stable: counts(900), target: counts(100, 9) },
    };
    const gates = { ...GATES, errors: { max_percent: 1, ratio: 2 } };
    expect(look(asked(both('complete'), { gates, window })).record).toMatchObject({ state: 'rolling_back' });
  });
});

describe('at the end of a soak', () => {
  it('asks once more, whatever was answered before', () => {
    const over = look(
      asked(both('pass'), {
        observed_ms: 20_000,
        inquiry: { ...asked(both('pass')).inquiry!, asked_ms: 19_000 },
      }),
    );
    expect(over.record).toMatchObject({ phase: 'analysing', inquiry: { n: 1, open: false } });
    const begun = look(over.record);
    expect(begun).toMatchObject({ moved: true, record: { inquiry: { n: 2, open: true, answers: {} } } });
    expect(look(begun.record).waiting_for).toEqual([
      'an answer of webhook:ci',
      'an answer of prometheus:lag',
    ]);
  });
  it('what the counters find bad needs no further word', () => {
    const sum = { stable: counts(900), target: counts(100, 9) };
    const gates = { ...GATES, errors: { max_percent: 1, ratio: 2 } };
    const bad = soaking({ phase: 'analysing', gates, window: { watcher: 'run-1', last: sum, sum } });
    expect(look(bad).record).toMatchObject({ state: 'rolling_back', inquiry: null });
  });
  it.each<[string, ReturnType<typeof both>, object]>([
    ['continue', both('pass'), { phase: 'applying', step: 2 }],
    ['abort', both('abort'), { state: 'rolling_back' }],
    ['complete', both('complete'), { step: 4 }],
    ['a sample beyond its limit', both('pass', 'fail'), { state: 'rolling_back' }],
    ['inconclusive', both('inconclusive'), { state: 'paused', paused: { cause: 'gate' } }],
  ])('%s', (_name, answers, expected) => {
    expect(look(atEnd(answers))).toMatchObject({ moved: true, record: expected });
  });
  it.each([
    ['pass', { phase: 'applying', step: 2 }],
    ['fail', { state: 'rolling_back' }],
  ] as const)('inconclusive, by the rule: %s', (on_inconclusive, expected) => {
    expect(look(atEnd(both('inconclusive'), { gates: { ...GATES, on_inconclusive } })).record).toMatchObject(
      expected,
    );
  });
  it('wait is asked again an interval later, and nothing else happens', () => {
    const waiting = atEnd(both('wait'));
    const before = look(waiting, {}, 4_000);
    expect(before).toMatchObject({
      moved: false,
      waiting_for: ['webhook:ci: wait (says ci) (asked again in 1s)'],
    });
    expect(look(waiting, {}, 5_000)).toMatchObject({ moved: true, record: { rev: 1, inquiry: { n: 2 } } });
    // A clock that jumped does not make it wait for ever.
    expect(look(waiting, {}, -3_600_000).record.inquiry).toMatchObject({ n: 2 });
  });
  it('complete after the last weight ends the release', () => {
    const last = [{ weight: 100 }, { pause: { for_ms: 5_000 } }] as const;
    const record = atEnd(both('complete'), {
      strategy: buildWeighted(last),
      shares: { v2: 100 },
    });
    expect(look(record).record).toMatchObject({ state: 'finalizing' });
  });
});

it('what was read is shown, also before anybody answered', () => {
  expect(readOuter(soaking()).map(spellOuter)).toEqual([
    'webhook:ci: inconclusive (not asked yet)',
    'prometheus:lag: inconclusive (not asked yet)',
  ]);
  expect(readOuter(asked({})).map(({ message }) => message)).toEqual(['being asked', 'being asked']);
  const low = soaking({ gates: { ...GATES, prometheus: [{ name: 'lag', query: 'x', max: 9, min: 3 }] } });
  const answers = { 'prometheus:lag': said('fail', 2) };
  expect(
    readOuter({ ...low, inquiry: { n: 1, at: AT, asked_ms: 0, readings: [], open: true, answers } })[1],
  ).toMatchObject({
    value: 2,
    limit: 3,
  });
});
