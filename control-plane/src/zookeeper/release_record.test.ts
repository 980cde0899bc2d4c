import { expect, test } from 'vitest';
import type { ReleaseRecord } from '../model/release.js';
import { advance } from '../plan/release/advance.js';
import {
  buildBatchInstance,
  buildCounts,
  buildFacts,
  buildInPlace,
  buildInstanceFacts,
  buildRelease,
  buildWeighted,
  RELEASE_AT,
  progressOf,
} from '../testing/releases.js';
import { encodeReleaseRecord, parseReleaseRecord } from './release_record.js';

const counts = { ...buildCounts(3, 1), ms: 7.5 };
const FULL = buildRelease({
  strategy: buildWeighted([{ weight: 5 }, { pause: {} }, { pause: { for_ms: 9 } }, { weight: 100 }]),
  state: 'paused',
  paused: { cause: 'gate', by: 'controller', message: 'x', state: 'progressing', phase: 'soaking' },
  window: {
    watcher: 'run-1',
    last: { stable: counts, target: counts },
    sum: { stable: counts, target: counts },
  },
  gates: {
    ...buildRelease().gates,
    webhooks: [{ name: 'ci', url: 'http://ci/hooks', timeout_ms: 5_000 }],
    prometheus: [{ name: 'lag', query: 'lag', max: 5, min: null }],
  },
  inquiry: {
    n: 2,
    at: '2026-05-01T12:00:00.000Z',
    asked_ms: 10_000,
    readings: [
      {
        gate: 'errors',
        verdict: 'pass',
        target: 0.5,
        stable: null,
        limit: 1,
        samples: { target: 3, stable: 0 },
        note: '',
      },
    ],
    open: false,
    answers: { 'webhook:ci': { verdict: 'wait', value: null, message: 'x', at: '2026-05-01T12:00:01.000Z' } },
  },
  turned: { step: 2, begun: true },
  min_ready: { percent: 75 },
  read: {
    at: '2026-05-01T12:00:00.000Z',
    step: 1,
    gates: [
      {
        ...{ gate: 'fast', verdict: 'fail', value: 50, limit: 20, message: '', target: 50, stable: 0 },
        samples: { target: 60, stable: 400 },
      },
    ],
  },
  verbs: [{ key: 'k', request: 'r' }],
  events: [{ n: 1, at: '2026-05-01T12:00:00.000Z', event: 'started', by: 'ann', message: '' }],
});

test('what is written is read', () => {
  expect(parseReleaseRecord(encodeReleaseRecord(FULL))).toEqual({ ok: true, value: FULL });
});

test('what is written of a release in place is read', () => {
  const { state: _state, named: _named, ...picked } = buildBatchInstance('i2', 'failed', { reason: 'no' });
  const in_place = {
    batch: [buildBatchInstance('i1', 'upgrading')],
    called: { outcome: 'refused', reason: '404' },
    left_out: [{ ...picked, to: 'v2' }],
    full: true,
    planned: 3,
    batches: [{ step: 0, direction: 'forward', count: 1, instances: ['i1'] }],
  } as const;
  for (const upgrade of [
    { webhook: { url: 'https://ci.example/x', timeout_ms: 1 } },
    { command: { name: 'up', timeout_ms: 1 } },
    { person: true },
  ] as const) {
    const record = buildInPlace({ progress: in_place }, { upgrade, batch: { percent: 20 } });
    expect(parseReleaseRecord(encodeReleaseRecord(record))).toEqual({ ok: true, value: record });
  }
  const strange = { ...in_place, batch: [{ ...buildBatchInstance('i1'), state: 'melted' }] };
  const parsed = parseReleaseRecord(
    Buffer.from(JSON.stringify({ ...stored(buildInPlace()), in_place: strange })),
  );
  expect(parsed).toMatchObject({ ok: false, error: expect.stringMatching(/in_place\.batch/) as string });
});

/** The record as it is stored. */
const stored = (record: ReleaseRecord): Readonly<Record<string, unknown>> =>
  JSON.parse(encodeReleaseRecord(record).toString()) as Readonly<Record<string, unknown>>;

/** The record as it was written before these members were there. */
function before(record: ReleaseRecord): object {
  const {
    start_deadline_ms: _a,
    min_ready: _b,
    capacity: _c,
    turned: _d,
    extended_ms: _e,
    read: _f,
    ...rest
  } = stored(record);
  const { delay_ms: _g, ...gates } = record.gates;
  const { inquiry } = record;
  const readings = inquiry?.readings.map(({ note: _note, ...one }) => one);
  const { stragglers: _h, ...kept } = rest['strategy'] as Readonly<Record<string, unknown>>;
  const in_place = rest['in_place'] as Readonly<Record<string, unknown>> | null;
  const { planned: _i, batches: _j, ...progress } = in_place ?? {};
  return {
    ...{ ...rest, gates, strategy: kept, inquiry: inquiry && { ...inquiry, readings } },
    in_place: in_place && progress,
  };
}

const unknownCapacity = ({ strategy }: ReleaseRecord): object => ({
  ...strategy,
  progress: { capacity: null },
});

test('how far it is: stored beside the strategy, where controllers of before look for it', () => {
  expect(stored(FULL)).toMatchObject({ in_place: null, capacity: 2 });
  expect(stored(FULL)['strategy']).not.toHaveProperty('progress');
  const inPlace = stored(buildInPlace());
  expect(inPlace).toMatchObject({
    strategy: { batch: { count: 1 } },
    in_place: { batch: [] },
    capacity: null,
  });
  expect(inPlace['strategy']).not.toHaveProperty('progress');
});

test('what controllers wrote before is read, with what they would have done', () => {
  const old = {
    start_deadline_ms: 1_800_000,
    min_ready: { count: 1 },
    extended_ms: 0,
    read: null,
  };
  const gates = { ...FULL.gates, delay_ms: 0 };
  const weighted = { ...FULL, ...old, gates, strategy: unknownCapacity(FULL), turned: null };
  const read = (record: ReleaseRecord) => parseReleaseRecord(Buffer.from(JSON.stringify(before(record))));
  expect(read(FULL)).toEqual({ ok: true, value: weighted });
  const ended = { state: 'rolled_back', ending: 'rolled_back', paused: null, ended_at: FULL.at } as const;
  const turned = { step: FULL.step, begun: true };
  expect(read({ ...FULL, ...ended })).toEqual({ ok: true, value: { ...weighted, ...ended, turned } });
  const inPlace = buildInPlace();
  expect(read(inPlace)).toEqual({ ok: true, value: { ...inPlace, ...old } });
});

test.each([
  [
    'another schema',
    { ...stored(FULL), v: 2 },
    /^schema 2 is not known to this controller: written by a newer release$/,
  ],
  ['no schema', { ...stored(FULL), v: undefined }, /schema missing is not known/],
  ['a member more', { ...stored(FULL), mirror: true }, /^mirror: is not known.*newer release$/],
  ['a member less', { ...stored(FULL), step: undefined }, /step/],
  ['an unknown state', { ...stored(FULL), state: 'guessing' }, /state/],
  ['shares that do not sum to 100', { ...stored(FULL), shares: { v1: 90 } }, /shares: does not sum to 100/],
  ['in place without its progress', { ...stored(buildInPlace()), in_place: null }, /in_place/],
  [
    'a progress without being in place',
    { ...stored(FULL), in_place: stored(buildInPlace())['in_place'] },
    /in_place/,
  ],
  [
    'an unknown step',
    { ...stored(FULL), strategy: { kind: 'weighted', steps: [{ mirror: 5 }] } },
    /strategy/,
  ],
])('refuses %s', (_name, record, error) => {
  expect(parseReleaseRecord(Buffer.from(JSON.stringify(record)))).toMatchObject({
    ok: false,
    error: expect.stringMatching(error) as string,
  });
});

test('refuses what is not JSON', () => {
  expect(parseReleaseRecord(Buffer.from('{'))).toEqual({ ok: false, error: 'not JSON' });
});

test('whatever is said of many instances and gateways can be read back', () => {
  const ids = Array.from({ length: 40 }, (_, n) => `10.20.30.${String(n)}:8080`);
  const undrained = ['a', 'b', 'c'].map((gw) => `gateway gw-${gw} still has 3 open requests`);
  const drained = buildInPlace(
    {
      ...{ state: 'progressing', phase: 'draining', observed_ms: 30_000 },
      progress: { batch: ids.map((id) => buildBatchInstance(id)) },
    },
    { batch: { count: 40 }, max_unavailable: { count: 40 } },
  );
  const late = ids.map((id) => buildInstanceFacts(id, { drained: false, undrained, able: false }));
  const paused = advance(drained, buildFacts({ instances: [buildInstanceFacts('x'), ...late] }), RELEASE_AT);
  expect(paused.record.state).toBe('paused');
  expect(parseReleaseRecord(encodeReleaseRecord(paused.record))).toMatchObject({ ok: true });

  const ill = Array.from({ length: 60 }, (_, n) =>
    `failing on gateway gw-${String(n)} (connect() failed)`.repeat(2),
  );
  const warming = buildInPlace(
    {
      ...{ state: 'progressing', phase: 'warming', stalled_ms: 60_000 },
      progress: { batch: [buildBatchInstance('i1', 'warming')] },
    },
    { max_failed: 1 },
  );
  const instances = [buildInstanceFacts('i1', { version: 'v2', unhealthy: ill }), buildInstanceFacts('i2')];
  const failed = advance(warming, buildFacts({ instances }), RELEASE_AT).record;
  expect(progressOf(failed).batch[0]).toMatchObject({ state: 'failed' });
  expect(parseReleaseRecord(encodeReleaseRecord(failed))).toMatchObject({ ok: true });
});
