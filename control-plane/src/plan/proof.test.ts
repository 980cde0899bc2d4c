import { describe, expect, test } from 'vitest';
import type { Heartbeat, RosterEntry } from '../model/gateway.js';
import { buildHeartbeat } from '../testing/builders.js';
import { askedOf, convergenceOf, isUnknowable, proveDrained, type Witnesses } from './proof.js';

const TARGET = { epoch: 7, generation: 20 };
const acked = { applied: { epoch: 7, generation: 20 } };

function witnesses(
  heard: Record<string, Partial<Heartbeat> & { readonly silentMs?: number }>,
  roster: readonly string[] = Object.keys(heard),
  unready: string | null = null,
): Witnesses {
  const entry = (id: string): RosterEntry => ({ id, boot: 'b', host: 'h', since: '2026-05-01T12:00:00Z' });
  return {
    roster: new Map(roster.map((id) => [id, entry(id)])),
    fleet: {
      complete: true,
      listed: new Map(),
      heard: new Map(
        Object.entries(heard).map(([id, { silentMs, ...beat }]) => [
          id,
          { heartbeat: buildHeartbeat({ id, ...beat }), changed_at: 100_000 - (silentMs ?? 0) },
        ]),
      ),
    },
    now: 100_000,
    silent_ms: 5_000,
    left: new Map(),
    shared: new Set(),
    unready,
    learning: false,
  };
}
const open = (count: number) => ({ in_flight: { 'shop|a': count } });

test('proven: every gateway acked the set and reports nothing open', () => {
  const status = proveDrained(
    'shop',
    'a',
    TARGET,
    witnesses({ g1: acked, g2: { applied: { epoch: 7, generation: 21 } } }),
  );
  expect(status).toEqual({ drained: true, waiting_for: [], in_flight: 0 });
});

test('a name that Redis lists and nobody ever heard blocks nothing; one of the roster that is not heard does', () => {
  const known = witnesses({ g1: acked });
  const listedOnly = { ...known, fleet: { ...known.fleet, listed: new Map([['g2', 1_700_000_000]]) } };
  expect(proveDrained('shop', 'a', TARGET, listedOnly)).toEqual({
    drained: true,
    waiting_for: [],
    in_flight: 0,
  });
  expect(isUnknowable('shop', TARGET, listedOnly)).toBe(false);
  const roster = { ...listedOnly, roster: witnesses({}, ['g1', 'g2']).roster };
  expect(proveDrained('shop', 'a', TARGET, roster)).toEqual({
    drained: false,
    waiting_for: ['gateway g2 has not been heard; it may be serving'],
    in_flight: null,
  });
  expect(isUnknowable('shop', TARGET, roster)).toBe(true);
});

test('when every gateway has gone, nobody is left who could have a request; when there was none ever, nothing is known', () => {
  const at = '2026-05-01T12:00:00.000Z';
  const gone = new Map([['g1', { at, how: 'left' as const }]]);
  const all = { ...witnesses({}), gone };
  expect(proveDrained('shop', 'a', TARGET, all)).toEqual({ drained: true, waiting_for: [], in_flight: 0 });
  expect(isUnknowable('shop', TARGET, all)).toBe(false);
  const some = { ...witnesses({ g2: acked }, ['g2', 'g3']), gone };
  expect(proveDrained('shop', 'a', TARGET, some).waiting_for).toEqual([
    'gateway g3 has not been heard; it may be serving',
  ]);
  expect(proveDrained('shop', 'a', TARGET, witnesses({})).drained).toBe(false);
  expect(isUnknowable('shop', TARGET, witnesses({}))).toBe(true);
});

test('a proof names who was asked, and who had gone in the last day', () => {
  const day = 86_400_000;
  const wall = Date.parse('2026-05-03T12:00:00.000Z');
  const at = (ago: number): string => new Date(wall - ago).toISOString();
  const gone = new Map([
    ['old', { at: at(day), how: 'left' as const }],
    ['g0', { at: at(5_000), how: 'forgotten' as const }],
    ['g3', { at: at(1_000), how: 'left' as const }],
    ['g1', { at: at(1_000), how: 'left' as const }],
  ]);
  expect(askedOf({ ...witnesses({ g2: acked, g1: acked }), gone }, wall)).toEqual({
    asked: ['g1', 'g2'],
    not_asked: [
      { id: 'g3', at: at(1_000), how: 'left' },
      { id: 'g0', at: at(5_000), how: 'forgotten' },
    ],
  });
});

describe('not proven, and it says why', () => {
  test.each<[string, Witnesses, typeof TARGET | null, RegExp, number | null]>([
    [
      'requests are open',
      witnesses({ g1: acked, g2: { ...acked, ...open(2) } }),
      TARGET,
      /g2 still has 2 open requests/,
      2,
    ],
    [
      'an older generation',
      witnesses({ g1: { applied: { epoch: 7, generation: 19 } } }),
      TARGET,
      /g1 is at 7:19 and has not acked 7:20/,
      0,
    ],
    [
      'an ack of an epoch before',
      witnesses({ g1: { applied: { epoch: 6, generation: 99 } } }),
      TARGET,
      /has not acked/,
      0,
    ],
    [
      'an ack of a later epoch',
      witnesses({ g1: { applied: { epoch: 8, generation: 99 } } }),
      TARGET,
      /has not acked/,
      0,
    ],
    ['not caught up', witnesses({ g1: { applied: null } }), TARGET, /not caught up/, 0],
    ['silent', witnesses({ g1: { ...acked, silentMs: 5_001 } }), TARGET, /g1 has been silent for 5 s/, null],
    ['never heard', witnesses({ g1: acked }, ['g1', 'g2']), TARGET, /g2 has not been heard/, null],
    [
      'live and not in the roster',
      witnesses({ g1: acked, g2: open(1) }, ['g1']),
      TARGET,
      /g2 has not caught up/,
      1,
    ],
    ['uncounted requests', witnesses({ g1: { ...acked, uncounted: 1 } }), TARGET, /could not count/, null],
    [
      'rejected',
      witnesses({ g1: { ...acked, rejected: [{ service: 'shop', generation: 20, code: 'bad_json' }] } }),
      TARGET,
      /rejected .*bad_json/,
      0,
    ],
    ['no gateway at all', witnesses({}), TARGET, /no gateway has ever been heard/, 0],
    ['nothing read yet', witnesses({ g1: acked }, ['g1'], 'nothing read yet'), TARGET, /nothing read yet/, 0],
    ['not published', witnesses({ g1: acked }), null, /not published/, 0],
  ])('%s', (_name, seen, target, why, inFlight) => {
    const status = proveDrained('shop', 'a', target, seen);
    expect(status.drained).toBe(false);
    expect(status.waiting_for.join('; ')).toMatch(why);
    expect(status.in_flight).toBe(inFlight);
  });
});

test('another service that is rejected, or another instance that is busy, does not matter', () => {
  const rejected = [{ service: 'billing', generation: 12, code: 'bad_json' }];
  const seen = witnesses({ g1: { ...acked, rejected, in_flight: { 'shop|b': 3 } } });
  expect(proveDrained('shop', 'a', TARGET, seen).drained).toBe(true);
});

describe('a gateway that fell silent outside the roster', () => {
  const seen = witnesses({ g1: acked, g2: { silentMs: 60_000 } }, ['g1']);
  test('may still be serving, if it never was in it', () => {
    const status = proveDrained('shop', 'a', TARGET, seen);
    expect(status).toMatchObject({ drained: false, in_flight: null });
    expect(status.waiting_for.join()).toMatch(/g2 has been silent/);
  });
  test('counts no more, if it has left since', () => {
    const left = { ...seen, left: new Map([['g2', 50_000]]) };
    expect(proveDrained('shop', 'a', TARGET, left).drained).toBe(true);
    const heardAgain = { ...seen, left: new Map([['g2', 39_999]]) };
    expect(proveDrained('shop', 'a', TARGET, heardAgain).drained).toBe(false);
  });
});

test('an id under which two gateways report proves nothing: the one heard last hides the other', () => {
  const seen = { ...witnesses({ g1: acked }), shared: new Set(['g1']) };
  const status = proveDrained('shop', 'a', TARGET, seen);
  expect(status).toMatchObject({ drained: false, in_flight: null });
  expect(status.waiting_for.join()).toMatch(/two gateways report as g1/);
});

test('convergence names each gateway’s state', () => {
  const seen = witnesses({
    g1: acked,
    g2: { applied: { epoch: 7, generation: 3 } },
    g3: { silentMs: 9_000 },
  });
  expect(convergenceOf('shop', TARGET, seen)).toMatchObject({
    converged: false,
    gateways: [
      { id: 'g1', state: 'acked' },
      { id: 'g2', state: 'behind' },
      { id: 'g3', state: 'unknown' },
    ],
  });
});

test('a drain that waits for a gateway with a problem says what the problem is', () => {
  const problems = [{ kind: 'disk', reason: 'No space left on device', since: 1 }];
  const behind = witnesses({ g1: { applied: { epoch: 7, generation: 19 }, problems } });
  expect(proveDrained('shop', 'a', TARGET, behind).waiting_for).toEqual([
    'gateway g1 is at 7:19 and has not acked 7:20 (disk: No space left on device)',
  ]);
  const starting = witnesses({ g1: { applied: null, problems } });
  expect(proveDrained('shop', 'a', TARGET, starting).waiting_for).toEqual([
    'gateway g1 has not caught up yet (disk: No space left on device)',
  ]);
  const well = witnesses({ g1: { ...acked, problems } });
  expect(proveDrained('shop', 'a', TARGET, well).drained).toBe(true);
});
