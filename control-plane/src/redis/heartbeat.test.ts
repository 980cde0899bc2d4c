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
