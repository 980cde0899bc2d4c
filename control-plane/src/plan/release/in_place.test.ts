import { describe, expect, it } from 'vitest';
import type { ReleaseRecord } from '../../model/release.js';
import type { InPlaceProgress, InPlaceStrategy } from '../../model/release_strategy.js';
import type { ReleaseFacts } from '../../model/release_facts.js';
import {
  buildBatchInstance as one,
  buildFacts,
  buildInPlace,
  buildInstanceFacts as fact,
  progressOf,
  RELEASE_AT as T,
  type InPlaceParts,
} from '../../testing/releases.js';
import { advance } from './advance.js';
import { amountOf } from './amount.js';
import { wantedCall } from './asks.js';
import { drainedBy } from './strategy/in_place/batch.js';
import { chooseBatch, estimateBatches } from './strategy/in_place/choose.js';

const place = (progress: Partial<InPlaceProgress> = {}) => ({ progress });
type Parts = InPlaceParts;
const at = (phase: ReleaseRecord['phase'], parts: Parts, strategy: Partial<InPlaceStrategy> = {}) =>
  buildInPlace({ state: 'progressing', phase, ...parts }, strategy);
const back = (phase: ReleaseRecord['phase'], parts: Parts = {}) =>
  buildInPlace({ state: 'rolling_back', ending: 'rolled_back', phase, ...parts });
const three = [fact('i1'), fact('i2'), fact('i3')];
const v2 = { version: 'v2' };
const BEHIND = { behind: ['gateway g2 has been silent for 9 s'] };
const accepted = { outcome: 'accepted', reason: '' } as const;
const refused = { outcome: 'refused', reason: '404' } as const;
const leftOut = (id: string, parts = {}) => {
  const { state: _state, named: _named, ...picked } = one(id, 'failed');
  return { ...picked, to: 'v2', ...parts };
};

describe('every move', () => {
  it.each<[string, ReleaseRecord, Partial<ReleaseFacts>, object]>([
    [
      'the first batch',
      buildInPlace({ state: 'preparing' }),
      { instances: three },
      {
        state: 'progressing',
        phase: 'applying',
        step: 0,
        ...{ shares: {} },
        strategy: { progress: { batch: [{ id: 'i1', state: 'draining' }] } },
      },
    ],
    [
      'what was taken over comes first',
      buildInPlace({ state: 'preparing', ...place({ batch: [one('i3')] }) }),
      { instances: three },
      { phase: 'applying', strategy: { progress: { batch: [{ id: 'i3' }] } } },
    ],
    ['published', at('applying', place({ batch: [one('i1')] })), BEHIND, { phase: 'converging' }],
    ['obeyed', at('converging', place({ batch: [one('i1')] })), {}, { phase: 'draining' }],
    [
      'drained',
      at('draining', place({ batch: [one('i1')] })),
      { instances: three },
      {
        phase: 'upgrading',
        strategy: { progress: { batch: [{ state: 'upgrading', asked: true, named: true }], called: null } },
      },
    ],
    [
      'one that is gone has no request',
      at('draining', place({ batch: [one('i1')] })),
      { instances: [fact('i1', { presence: 'gone', drained: false }), fact('i2')] },
      { phase: 'upgrading' },
    ],
    [
      'the outcome of the call is written down first',
      at('upgrading', place({ batch: [one('i1', 'upgrading')] })),
      { call: accepted, instances: [fact('i1', v2)] },
      { phase: 'upgrading', strategy: { progress: { called: accepted, batch: [{ state: 'upgrading' }] } } },
    ],
    [
      'back with the new version',
      at('upgrading', place({ batch: [one('i1', 'upgrading')] })),
      { instances: [fact('i1', v2)] },
      { strategy: { progress: { batch: [{ state: 'warming', asked: false }] } } },
    ],
    [
      'a refused call fails whoever is not back',
      at('upgrading', place({ batch: [one('i1', 'upgrading')], called: refused })),
      { instances: three },
      { strategy: { progress: { batch: [{ state: 'failed', reason: 'the upgrade was refused: 404' }] } } },
    ],
    [
      'not back in time',
      at('upgrading', { ...place({ batch: [one('i1', 'upgrading')] }), observed_ms: 60_000 }),
      { instances: three },
      { strategy: { progress: { batch: [{ state: 'failed', reason: 'not back with v2 within 1m' }] } } },
    ],
    [
      'too many failed',
      at('upgrading', place({ batch: [one('i1', 'failed', { reason: 'no' })] })),
      { instances: three },
      {
        state: 'rolling_back',
        ending: 'rolled_back',
        strategy: { progress: { batch: [{ id: 'i1', state: 'draining', asked: true }] } },
      },
    ],
    [
      'as many failed as are put up with',
      at('upgrading', place({ batch: [one('i1', 'failed')] }), { max_failed: 1 }),
      { instances: three },
      { state: 'progressing', phase: 'warming' },
    ],
    ['all are back', at('upgrading', place({ batch: [one('i1', 'warming')] })), {}, { phase: 'warming' }],
    [
      'warm',
      at('warming', place({ batch: [one('i1', 'warming')] })),
      { instances: [fact('i1', v2), fact('i2')] },
      { strategy: { progress: { batch: [{ state: 'done' }] } } },
    ],
    [
      'upgraded, and never well',
      at('warming', { ...place({ batch: [one('i1', 'warming')] }), stalled_ms: 60_000 }),
      { instances: [fact('i1', { ...v2, unhealthy: ['ejected on gateway g1'] })] },
      {
        strategy: {
          progress: { batch: [{ state: 'failed', reason: 'upgraded, but ejected on gateway g1' }] },
        },
      },
    ],
    [
      'the next batch',
      at('warming', place({ batch: [one('i1', 'done')] })),
      { instances: [fact('i1', v2), fact('i2'), fact('i3')] },
      { phase: 'applying', step: 1, attempt: 1, strategy: { progress: { batch: [{ id: 'i2' }] } } },
    ],
    [
      'a soak',
      at('warming', place({ batch: [one('i1', 'done')] }), { soak_ms: 5_000 }),
      { instances: [fact('i1', v2), fact('i2')] },
      { phase: 'soaking', step: 0 },
    ],
    [
      'no soak any more',
      at('warming', place({ batch: [one('i1', 'done')], full: true, planned: null, batches: [] }), {
        soak_ms: 5_000,
      }),
      { instances: [fact('i1', v2), fact('i2')] },
      { phase: 'applying', step: 1 },
    ],
    [
      'the end of it, with those that were left out',
      at('warming', place({ batch: [one('i1', 'done')] })),
      { instances: [fact('i1', v2), fact('i2', { out_of_use: 'drained by bob', able: false })] },
      {
        state: 'finalizing',
        step: 1,
        strategy: { progress: { batch: [], left_out: [{ id: 'i2', reason: 'drained by bob' }] } },
      },
    ],
    [
      'an operator takes one out of its batch',
      at('draining', place({ batch: [one('i1'), one('i2')] })),
      {
        instances: [
          fact('i1', { out_of_use: 'isolated by bob' }),
          fact('i2', { drained: false, undrained: ['1 open'] }),
        ],
      },
      {
        strategy: {
          progress: { batch: [{ state: 'left_out', reason: 'isolated by bob' }, { state: 'draining' }] },
        },
      },
    ],
    [
      'everybody else is gone: what was not handed over yet is given back',
      at('draining', place({ batch: [one('i1')] })),
      { instances: [fact('i1', { drained: false }), fact('i2', { presence: 'gone', able: false })] },
      { phase: 'warming', strategy: { progress: { batch: [] } } },
    ],
    [
      'a drain that is not proven in time',
      at('draining', { ...place({ batch: [one('i1')] }), observed_ms: 30_000 }),
      { instances: [fact('i1', { drained: false, undrained: ['gateway g2 has been silent'] }), fact('i2')] },
      { state: 'paused', paused: { cause: 'drain', phase: 'draining' } },
    ],
    [
      'a bad version gets nothing as soon as others can serve',
      back(null),
      { instances: [fact('i1', v2), fact('i2')] },
      { shares: { v1: 100 }, phase: null },
    ],
    [
      'the way back, batch by batch',
      back(null, { shares: { v1: 100 }, step: 1 }),
      { instances: [fact('i1', v2), fact('i2')] },
      {
        state: 'rolling_back',
        phase: 'applying',
        step: 2,
        strategy: { progress: { batch: [{ id: 'i1', from: 'v2' }] } },
      },
    ],
    [
      'whoever was asked and never proven is asked to go back, registered or not',
      back(null, { shares: { v1: 100 }, ...place({ left_out: [leftOut('i9')] }) }),
      { instances: [fact('i2')] },
      { phase: 'applying', strategy: { progress: { batch: [{ id: 'i9' }], left_out: [] } } },
    ],
    [
      'nothing is left to bring back',
      back('warming', place({ batch: [one('i1', 'done')] })),
      { instances: [fact('i1')], min_available: 2 },
      { state: 'rolled_back', strategy: { progress: { batch: [] } } },
    ],
  ])('%s', (_name, record, facts, expected) => {
    const result = advance(record, buildFacts({ instances: three, ...facts }), T + 1_000);
    expect(result.waiting_for).toEqual([]);
    expect(result.record).toMatchObject(expected);
    expect(result.record.rev).toBe(record.rev + 1);
  });
});

describe('every wait says for what', () => {
  it.each<[string, ReleaseRecord, Partial<ReleaseFacts>, string]>([
    [
      'one instance only',
      buildInPlace({ state: 'preparing' }),
      { instances: [fact('i1')] },
      'draining it would leave none',
    ],
    ['min_available', buildInPlace({ state: 'preparing' }), { min_available: 3 }, 'min_available asks for 3'],
    [
      'max_unavailable',
      at('warming', place()),
      { instances: [fact('i1', { ...v2, able: false, ready: false }), fact('i2'), fact('i3')] },
      'max_unavailable is 1, and i1 cannot serve already',
    ],
    [
      'blocked',
      buildInPlace({ state: 'preparing' }),
      { blocked_by: ['protection: 3 vanished'] },
      'protection',
    ],
    [
      'blocked, with a batch that was taken over',
      buildInPlace({ state: 'preparing', ...place({ batch: [one('i1')] }) }),
      { blocked_by: ['shop is frozen by bob'] },
      'frozen',
    ],
    ['converging', at('converging', place({ batch: [one('i1')] })), BEHIND, 'gateway g2 has been silent'],
    [
      'draining',
      at('draining', place({ batch: [one('i1')] })),
      {
        instances: [
          fact('i1', { drained: false, undrained: ['gateway g1 still has 1 open request'] }),
          fact('i2'),
        ],
      },
      'i1: gateway g1 still has 1 open request',
    ],
    [
      'upgrading',
      at('upgrading', place({ batch: [one('i1', 'upgrading')] })),
      {},
      'i1: to be registered with v2 and ready',
    ],
    [
      'upgrading, by a person',
      at('upgrading', place({ batch: [one('i1', 'upgrading')] }), { upgrade: { person: true } }),
      {},
      'by a person',
    ],
    [
      'the way back of one that may be upgraded at any moment waits for the call to be taken',
      back('upgrading', { shares: { v1: 100 }, ...place({ batch: [one('i1', 'upgrading')] }) }),
      { instances: [fact('i1')] },
      'the answer to the call',
    ],
    [
      'slow start',
      at('warming', place({ batch: [one('i1', 'warming')] })),
      { slow_start_ms: 9_000, instances: [fact('i1', v2)] },
      '8 s more of slow start',
    ],
    [
      'a suspect is not picked',
      buildInPlace({ state: 'preparing' }),
      { instances: [fact('i1', { presence: 'doubtful', able: false, ready: false }), fact('i2', v2)] },
      'i1: its registration is missing',
    ],
    [
      'going back does not take the last one that serves',
      back(null, { ending: 'cancelled' }),
      { instances: [fact('i1', v2)] },
      'draining it would leave none',
    ],
  ])('%s', (_name, record, facts, expected) => {
    const result = advance(record, buildFacts({ instances: three, ...facts }), T + 1_000);
    expect(result.moved).toBe(false);
    expect(result.waiting_for.join('; ')).toContain(expected);
  });
});

describe('who is picked', () => {
  const chosen = (parts: Partial<InPlaceStrategy>, facts: Partial<ReleaseFacts>) => {
    const choice = chooseBatch(buildInPlace({ state: 'preparing' }, parts), buildFacts(facts));
    return choice.kind === 'batch' ? choice.instances.map(({ id }) => id) : choice.kind;
  };
  const many = ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => fact(id));
  const crowd = Array.from({ length: 2_000 }, (_, index) => fact(`i${String(index).padStart(4, '0')}`));
  const both = { batch: { count: 4 }, max_unavailable: { count: 4 } } as const;

  it.each<[string, Partial<InPlaceStrategy>, Partial<ReleaseFacts>, readonly string[] | string]>([
    ['by id', { ...both }, { instances: many }, ['a', 'b', 'c', 'd']],
    [
      'unready first',
      { batch: { count: 2 }, max_unavailable: { count: 2 } },
      { instances: [...many, fact('z', { able: false, ready: false })] },
      ['z', 'a'],
    ],
    ['never below min_available', both, { instances: many, min_available: 5 }, ['a']],
    [
      'never more than a znode takes',
      { batch: { percent: 100 }, max_unavailable: { percent: 100 } },
      { instances: crowd },
      crowd.slice(0, 500).map(({ id }) => id),
    ],
    ['never the last one', both, { instances: many.slice(0, 2), min_available: 0 }, ['a']],
    [
      'by percent',
      { batch: { percent: 50 }, max_unavailable: { percent: 40 } },
      { instances: many },
      ['a', 'b'],
    ],
    ['nobody who runs it already', both, { instances: [fact('a', v2), fact('b')] }, ['b']],
    ['done', both, { instances: [fact('a', v2)] }, 'done'],
  ])('%s', (_name, strategy, facts, expected) => {
    expect(chosen(strategy, facts)).toEqual(expected);
  });

  it.each([
    [{ percent: 20 }, 12, 2],
    [{ percent: 20 }, 3, 1],
    [{ count: 5 }, 3, 5],
  ])('%o of %i is %i', (amount, total, expected) => {
    expect(amountOf(amount, total)).toBe(expected);
  });

  it('estimates the rest', () => {
    const record = buildInPlace({}, { batch: { count: 4 }, max_unavailable: { count: 4 } });
    expect(estimateBatches(record, { instances: many })).toEqual([
      ['a', 'b', 'c', 'd'],
      ['e', 'f'],
    ]);
  });
});

describe('a batch that is over while a guard blocks the next one', () => {
  const blocked_by = { blocked_by: ['releases of shop are frozen by bob'], instances: three };
  const failed = at('warming', place({ batch: [one('i1', 'failed', { reason: 'no' })] }), { max_failed: 1 });

  it('is written down as over, and drains nobody any more', () => {
    const over = advance(failed, buildFacts(blocked_by), T);
    expect(over.record).toMatchObject({
      ...{ state: 'progressing', phase: 'warming', rev: failed.rev + 1 },
      strategy: { progress: { batch: [], left_out: [{ id: 'i1', asked: true, reason: 'no' }] } },
    });
    expect([drainedBy(failed), drainedBy(over.record)]).toEqual([['i1'], []]);
    // Once: from then on it only waits.
    const later = advance(over.record, buildFacts(blocked_by), T);
    expect(later).toMatchObject({ moved: false, waiting_for: blocked_by.blocked_by });
    expect(advance(over.record, buildFacts({ instances: three }), T).record).toMatchObject({
      ...{ phase: 'applying', step: 1 },
      strategy: { progress: { batch: [{ id: 'i2' }] } },
    });
  });
  it('on the way back too, where it waits for the end', () => {
    const behind = { ...BEHIND, instances: [fact('i1', v2), fact('i2')] };
    const parts = {
      ...place({ batch: [one('i1', 'failed', { reason: 'no' })] }),
      ending: 'cancelled',
    } as const;
    const last = back('warming', parts);
    const over = advance(last, buildFacts(behind), T).record;
    expect(over).toMatchObject({
      state: 'rolling_back',
      strategy: { progress: { batch: [], left_out: [{ to: 'v1' }] } },
    });
    expect(advance(over, buildFacts({ instances: behind.instances }), T).record.state).toBe('cancelled');
  });
});

it('what is left over of a version that was found bad gets nothing after the release, also if it was never barred', () => {
  const left_out = ['i2', 'i3'].map((id) => leftOut(id, { to: 'v1', from: 'v2' }));
  const facts = buildFacts({
    ...{ ready: { v1: 1, v2: 2 }, min_available: 2 },
    instances: [fact('i1'), fact('i2', v2), fact('i3', v2)],
  });
  const bad = back('warming', place({ left_out }));
  expect(advance(bad, facts, T).write_shares).toEqual({ v1: 100 });
  expect(advance({ ...bad, ending: 'cancelled' }, facts, T).record.state).toBe('cancelled');
});

describe('nobody else takes requests any more', () => {
  const alone = { instances: [fact('i1'), fact('i2', { able: false, ready: false })] };
  const paused = (phase: ReleaseRecord['phase'], parts: Parts = {}): ReleaseRecord =>
    buildInPlace({
      ...{ state: 'paused', ...place({ batch: [one('i1')] }), ...parts },
      paused: { cause: 'drain', by: 'controller', message: '', state: 'progressing', phase },
    });

  it.each([
    ['paused', paused('draining')],
    ['pending, with a batch that was taken over', buildInPlace(place({ batch: [one('i1')] }))],
    ['preparing, the same', buildInPlace({ state: 'preparing', ...place({ batch: [one('i1')] }) })],
  ])('%s: what was not handed over is given back', (_name, record) => {
    const given = advance(record, buildFacts({ ...alone, blocked_by: ['protection'], published: false }), T);
    expect(given.record).toMatchObject({ state: record.state, strategy: { progress: { batch: [] } } });
    expect(given.record.events.at(-1)).toMatchObject({ event: 'given_back' });
    expect(drainedBy(given.record)).toEqual([]);
  });
  it('what was handed over may be in any state, and stays drained', () => {
    const asked = paused('upgrading', place({ batch: [one('i1', 'upgrading')] }));
    expect(advance(asked, buildFacts(alone), T).moved).toBe(false);
  });
});

describe('time', () => {
  const away = { current: false, blocked_by: ['ZooKeeper is suspended'], instances: three };
  it.each([
    ['an upgrade', at('upgrading', place({ batch: [one('i1', 'upgrading')] }))],
    ['a drain', at('draining', place({ batch: [one('i1')] }))],
    ['a soak', at('soaking', place({ batch: [one('i1', 'done')] }), { soak_ms: 60_000 })],
  ])('of %s does not run while ZooKeeper is away', (_name, record) => {
    const undrained = three.map((one) => ({ ...one, drained: false, undrained: ['1 open request'] }));
    const facts = { ...away, instances: undrained };
    expect(advance(record, buildFacts(facts), T + 1_000).record.observed_ms).toBe(0);
    const back = buildFacts({ instances: undrained });
    expect(advance(record, back, T + 1_000).record.observed_ms).toBe(1_000);
  });
  it('an instance that was not well is neither worse nor better for it', () => {
    const unhealthy = at('warming', { ...place({ batch: [one('i1', 'warming')] }), stalled_ms: 5_000 });
    expect(advance(unhealthy, buildFacts(away), T + 1_000).record.stalled_ms).toBe(5_000);
    expect(advance(unhealthy, buildFacts({ instances: three }), T + 1_000).record.stalled_ms).toBe(6_000);
  });
});

it('a drain that is late on the way back says how to go on without it', () => {
  const batch = [one('i1', 'draining', { asked: true })];
  const record = back('draining', { ...place({ batch }), ending: 'cancelled' });
  const open = { instances: [fact('i1', { drained: false, undrained: ['1 open request'] }), fact('i2')] };
  const soon = advance(record, buildFacts(open), T).waiting_for;
  const late = advance({ ...record, observed_ms: 30_000 }, buildFacts(open), T).waiting_for;
  expect(soon).toEqual(['i1: 1 open request']);
  expect(late).toEqual([...soon, expect.stringContaining('ebbgate release skip')]);
});

describe('the call', () => {
  const batch = [one('i1', 'upgrading'), one('i2', 'warming'), one('i3', 'left_out')];
  it('is asked for in its phase only, and says the same while instances come back', () => {
    const record = at('upgrading', { step: 2, attempt: 3, ...place({ batch }) });
    expect(wantedCall(record)).toMatchObject({
      key: 'rel-1/2/3',
      body: { from: 'v1', to: 'v2', instances: [{ id: 'i1', version: 'v1' }, { id: 'i2' }] },
    });
    expect(wantedCall({ ...record, phase: 'draining' })).toBeNull();
    expect(
      wantedCall(at('upgrading', { step: 2, attempt: 3, ...place({ batch, called: accepted }) })),
    ).toBeNull();
    expect(wantedCall(back('upgrading', place({ batch })))?.body).toMatchObject({ from: 'v2', to: 'v1' });
  });
  it('a person is not called', () => {
    expect(wantedCall(at('upgrading', place({ batch }), { upgrade: { person: true } }))).toBeNull();
  });
});

it('drains what is under way and what may be in any state, and nothing that is back', () => {
  const states = ['draining', 'upgrading', 'warming', 'done', 'failed', 'left_out'] as const;
  const batch = states.map((state) => one(state, state));
  expect(drainedBy(at('upgrading', place({ batch })))).toEqual(['draining', 'upgrading', 'failed']);
});

it('a gateway that was silent says nothing against an instance: its first half-open request afterwards fails nobody', () => {
  const well = fact('i1', v2);
  let [record, now] = [at('warming', place({ batch: [one('i1', 'warming')] })), T];
  for (let second = 0; second < 70; second += 1)
    record = advance(record, buildFacts({ ...BEHIND, instances: [well, fact('i2')] }), (now += 1_000)).record;
  const unhealthy = { ...well, unhealthy: ['half_open on gateway g2'] };
  record = advance(record, buildFacts({ instances: [unhealthy, fact('i2')] }), now + 1_000).record;
  expect(progressOf(record).batch[0]?.state).toBe('warming');
});
