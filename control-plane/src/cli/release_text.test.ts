import { expect, it } from 'vitest';
import type { ReleaseEvent } from '../model/release.js';
import type { GateResource, HashedPlan } from '../model/release_resources.js';
import { makeRelease, PLAN_HASH } from '../testing/memory_releases.js';
import { parseSteps } from './release_steps.js';
import { changeLine, stepText, planLines, releaseLines } from './release_text.js';

const at = '2026-05-01T12:00:00.000Z';
const EVENTS: readonly ReleaseEvent[] = [1, 2, 3, 4, 5, 6].map((n) => ({
  n,
  at,
  event: 'step_begun',
  by: 'controller',
  message: `step ${String(n)}`,
}));

it('shows everything on one screen, with the last five events', () => {
  expect(releaseLines(makeRelease(), EVENTS).join('\n')).toBe(
    [
      'release rel-1 of shop: v1 → v2',
      '  state      progressing, soaking, since 2026-05-01T12:00:00.000Z',
      '  step       2/3',
      '  message    step 2/3 {pause: 2m}',
      '  wanted     v1 95 %, v2 5 %',
      '  published  v1 95 %, v2 5 %, applied on 2/2 gateways',
      '  gate       errors 0.5 %, stable 0.4 %, limit 1 %, of 200 and 3800 requests: pass',
      '  waits for  90 s more of soaking, since 2026-05-01T12:00:00.000Z',
      '  by         ann: new prices, 2026-05-01T12:00:00.000Z',
      '  time       active 30s, paused 0s, converging 2s, draining 0s, upgrading 0s',
      ...[2, 3, 4, 5, 6].map((n) => `  event      ${at}  step_begun by controller  step ${String(n)}`),
    ].join('\n'),
  );
});

it('shows gates that are asked with what they said', () => {
  const asked = { target: null, stable: null, samples: null };
  const gates: GateResource[] = [
    { gate: 'webhook:ci', verdict: 'wait', value: null, limit: null, message: 'tests run', ...asked },
    { gate: 'prometheus:lag', verdict: 'fail', value: 7.25, limit: 5, message: '', ...asked },
  ];
  const lines = releaseLines(makeRelease({ gates }), []);
  expect(lines).toContain('  gate       webhook:ci: wait (tests run)');
  expect(lines).toContain('  gate       prometheus:lag 7.25, limit 5: fail');
});

it('shows a release in place: how it upgrades, and every instance of its batch', () => {
  const release = makeRelease({
    ...{ strategy: 'in_place', message: 'i1 drained', gates: [], step: 0 },
    shares: { wanted: {}, published: { v1: 100 }, applied_on: 2, gateways: 2 },
    in_place: {
      ...{
        batch: '2',
        max_unavailable: '20%',
        max_failed: 0,
        upgrade: 'webhook',
        through: 'https://ci.example',
      },
      ...{
        upgrade_timeout_ms: 600_000,
        drain_timeout_ms: 60_000,
        soak_ms: 0,
        call: 'wanted',
        stragglers: 'leave',
      },
      instances: [
        { id: 'i1', state: 'upgrading', version: 'v1', in_flight: 0, reason: '', waiting_for: [] },
        { id: 'i2', state: 'failed', version: 'v1', in_flight: null, reason: 'not back', waiting_for: [] },
      ],
      left_out: [{ id: 'i7', reason: 'drained by bob' }],
    },
  });
  expect(releaseLines(release, []).slice(3, 10)).toEqual([
    '  message    i1 drained',
    '  in place   batch 2, max unavailable 20%, max failed 0',
    '  upgrade    webhook https://ci.example, call wanted',
    '  instance   i1 upgrading, v1, 0 in flight',
    '  instance   i2 failed, v1, unknown in flight: not back',
    '  left out   i7: drained by bob',
    '  wanted     by weight',
  ]);
  expect(changeLine(release)).toContain('wanted by weight');
});

it('shows a plan in place', () => {
  const plan: HashedPlan = {
    ...{ service: 'shop', stable: 'v1', target: 'v2', rollback_to: 'v1', upgrade: 'a person, within 10m' },
    hash: PLAN_HASH,
    ...{ gates: ['fast: …'], start_deadline_ms: 60_000 },
    steps: [
      {
        ...{ step: 0, what: '1/1 i1, i2', shares: {}, instances: ['i1', 'i2'] },
        ...{ direction: 'forward', ready: { v1: 1, v2: 0 }, needs: 0 },
      },
    ],
    blockers: ['one instance only takes requests: draining it would leave none'],
  };
  expect(planLines(plan)).toEqual([
    'release of shop: v1 → v2, rolls back to v1',
    '  upgraded by: a person, within 10m',
    '  1/1 i1, i2  (ready: v1 1, v2 0)',
    '  gate: fast: …',
    '  fails if it cannot begin within 1m',
    '  blocked by: one instance only takes requests: draining it would leave none',
    `  hash: ${PLAN_HASH}`,
  ]);
});

it('shows what is unusual only where it is', () => {
  const lines = releaseLines(
    makeRelease({ attempt: 2, failures: 1, failure_limit: 3, problem: 'schema 2 is not known', gates: [] }),
    [],
  );
  expect(lines).toContain('  step       2/3, attempt 2');
  expect(lines).toContain('  failures   1, 3 are tolerated');
  expect(lines).toContain('  problem    schema 2 is not known');
  expect(lines.some((line) => line.includes('gate '))).toBe(false);
});

it.each([
  [{}, '2/3'],
  [{ turned: { step: 1, begun: true } }, '2/3 back'],
  [{ turned: { step: 0, begun: false } }, '0/3 back'],
  [{ turned: { step: 1, begun: true }, back: { step: 0, steps: 2 }, step: 2 }, '2/3 back 1/2'],
  [{ turned: { step: 1, begun: true }, back: { step: 2, steps: 2 }, step: 3 }, '2/3 back 2/2'],
  [{ turned: { step: 0, begun: true }, back: { step: 0, steps: 0 }, step: 0 }, '1/3 back'],
])('where it is: %j', (parts, text) => {
  expect(stepText(makeRelease(parts))).toBe(text);
});

it('a line per change has nothing that only counts', () => {
  const line = changeLine(makeRelease());
  expect(line).toBe(
    'shop v1 → v2  progressing, soaking  step 2/3  wanted v1 95 %, v2 5 %  step 2/3 {pause: 2m}',
  );
  expect(changeLine(makeRelease({ waiting_for: ['89 s more of soaking'] }))).toBe(line);
});

it('nothing that a registration may contain reaches the terminal as a control character', () => {
  expect(changeLine(makeRelease({ message: 'x\u001b[31mred' }))).not.toContain('\u001b');
});

it('shows a plan', () => {
  const usual = { instances: [], direction: 'forward', ready: { v1: 3, v2: 1 }, needs: 0 } as const;
  const plan: HashedPlan = {
    service: 'shop',
    stable: 'v1',
    target: 'v2',
    rollback_to: 'v1',
    steps: [
      { ...usual, step: 0, what: '1/2 {weight: 5}', shares: { v1: 95, v2: 5 }, ready: {} },
      { ...usual, step: 1, what: '2/2 {weight: 100}', shares: { v2: 100 }, needs: 2 },
    ],
    ...{ gates: ['fast: …'], start_deadline_ms: 1_800_000 },
    upgrade: null,
    blockers: ['a ready instance of v2'],
    hash: PLAN_HASH,
  };
  expect(planLines(plan).join('\n')).toBe(
    [
      'release of shop: v1 → v2, rolls back to v1',
      '  1/2 {weight: 5}        v1 95 %, v2 5 %',
      '  2/2 {weight: 100}      v2 100 %  (ready: v1 3, v2 1; needs 2 of v2)',
      '  gate: fast: …',
      '  fails if it cannot begin within 30m',
      '  blocked by: a ready instance of v2',
      `  hash: ${PLAN_HASH}`,
    ].join('\n'),
  );
});

it.each([
  ['5,2m,25,pause,100', [{ weight: 5 }, { pause: '2m' }, { weight: 25 }, { pause: {} }, { weight: 100 }]],
  [' 5% , 90s ', [{ weight: 5 }, { pause: '90s' }]],
])('reads %s', (text, steps) => {
  expect(parseSteps(text)).toEqual({ ok: true, value: steps });
});

it.each(['', '101', '5,,6', '5;6', '-1', 'wait', '5.5'])('refuses %j', (text) => {
  expect(parseSteps(text)).toMatchObject({
    ok: false,
    error: expect.stringContaining('is no step') as string,
  });
});
