import { expect, test } from 'vitest';
import { buildHeartbeat } from '../testing/builders.js';
import { parseHeartbeat } from './heartbeat.js';

test('a heartbeat is read back as it was written; members that the contract lacks are dropped', () => {
  const beat = buildHeartbeat({
    applied: { epoch: 3, generation: 9 },
    in_flight: { 'shop|10.0.0.1:8080': 2 },
  });
  expect(parseHeartbeat('gw-1', JSON.stringify({ ...beat, colour: 'red' }))).toEqual({
    ok: true,
    value: beat,
  });
});

test('health and panic are read, states of tomorrow too', () => {
  const beat = buildHeartbeat({
    health: {
      'shop|a': { state: 'ejected', reason: '3 failures: connection refused', since: 1_795_000_000 },
      'shop|b': { state: 'meditating', reason: '', since: 0 },
    },
    health_unlisted: 3,
    panic: ['shop'],
    problems: [{ kind: 'disk', reason: 'No space left on device', since: 1_795_000_000 }],
  });
  expect(parseHeartbeat('gw-1', JSON.stringify(beat))).toEqual({ ok: true, value: beat });
});

test.each([
  { health: { shop: { state: 'ejected', reason: '', since: 1 } } },
  { health: { 'shop|a': { state: '<b>', reason: '', since: 1 } } },
  { health: { 'shop|a': { state: 'ejected', reason: 'a\nb', since: 1 } } },
  { health: { 'shop|a': { state: 'ejected', reason: '', since: 1e300 } } },
  { health: [] },
  { health_unlisted: -1 },
  { panic: 'shop' },
  { panic: ['No Service'] },
  { problems: 'disk' },
  { problems: [{ kind: '<b>', reason: '', since: 1 }] },
  { problems: [{ kind: 'disk', reason: 'a\nb', since: 1 }] },
])('what is only shown costs nothing when it is wrong: %j', (wrong) => {
  const beat = buildHeartbeat({ in_flight: { 'shop|a': 2 } });
  expect(parseHeartbeat('gw-1', JSON.stringify({ ...beat, ...wrong }))).toEqual({ ok: true, value: beat });
});

test.each([
  ['not JSON', 'is not JSON', '{"v":1'],
  ['an array', /object/, '[]'],
  ['null', /object/, 'null'],
  ['another version', /^v: /, JSON.stringify({ ...buildHeartbeat(), v: 2 })],
  ['the name of another gateway', /its key says gw-1/, JSON.stringify(buildHeartbeat({ id: 'gw-2' }))],
  ['a bad name', /^id: /, JSON.stringify(buildHeartbeat({ id: 'gw 1' }))],
  ['a negative count', /^in_flight/, JSON.stringify(buildHeartbeat({ in_flight: { 'a|b': -1 } }))],
  ['half a request', /^in_flight/, JSON.stringify(buildHeartbeat({ in_flight: { 'a|b': 0.5 } }))],
  ['an in-flight key without service', /in_flight/, JSON.stringify(buildHeartbeat({ in_flight: { b: 1 } }))],
  [
    'a generation past 2^53',
    /^applied.generation/,
    JSON.stringify(buildHeartbeat()).replace(
      '"applied":null',
      '"applied":{"epoch":1,"generation":9007199254740993}',
    ),
  ],
  ['no uncounted', /^uncounted/, JSON.stringify({ ...buildHeartbeat(), uncounted: undefined })],
  [
    'a code that would be text',
    /^rejected/,
    JSON.stringify(buildHeartbeat({ rejected: [{ service: 'shop', generation: 1, code: '<b>' }] })),
  ],
])('%s is refused', (_what, reason, text) => {
  const result = parseHeartbeat('gw-1', text);
  expect(result.ok).toBe(false);
  if (!result.ok) expect(result.error).toMatch(reason);
});
