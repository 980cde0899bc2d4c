import { expect, test } from 'vitest';
import { createFakeClock } from '../../testing/clock.js';
import { err, ok } from '../../model/result.js';
import { parseRedirect } from '../redirect.js';
import { askAll } from './ask_all.js';
import { mostNamed, readOwner, SLOT } from './cluster.js';
import { newestMaster, readMaster } from './sentinel.js';

const [a, b] = [
  { host: '10.0.0.1', port: 1 },
  { host: '10.0.0.2', port: 2 },
];

test('of two masters the one of the higher epoch counts, though more sentinels name the other', () => {
  const [old, now] = [
    { node: a, epoch: 3 },
    { node: b, epoch: 4 },
  ];
  expect(newestMaster([old, now, old])).toEqual(b);
  expect(newestMaster([])).toBeNull();
  expect(readMaster(['name', 'm', 'ip', '10.0.0.2', 'port', '2', 'config-epoch', '4'])).toEqual(now);
  for (const bad of [null, [], ['ip', '', 'port', '2'], ['ip', 'h', 'port', '0'], ['port', '2']])
    expect(readMaster(bad)).toBeNull();
});

test('the owner of our slot is the master of its range; without a host it is the node that was asked', () => {
  const range = (first: number, last: number, host: string | null): unknown => [first, last, [host, 2, 'id']];
  expect(readOwner([range(0, SLOT - 1, 'x'), range(SLOT, SLOT, '10.0.0.2')], a)).toEqual(b);
  expect(readOwner([range(0, 16_383, '')], a)).toEqual({ host: a.host, port: 2 });
  for (const bad of [null, [], [range(0, SLOT - 1, 'x')], [range(0, 16_383, '?')], [[0, 16_383]]])
    expect(readOwner(bad, a)).toBeNull();
  expect(mostNamed([a, b, b])).toEqual(b);
  expect(mostNamed([a, b])).toEqual(a);
  expect(mostNamed([])).toBeNull();
});

test('redirects are read; other errors are none', () => {
  expect(parseRedirect('MOVED 4407 10.0.0.2:2', a)).toEqual({ kind: 'moved', node: b });
  expect(parseRedirect('ASK 4407 [::1]:7', a)).toEqual({ kind: 'ask', node: { host: '::1', port: 7 } });
  expect(parseRedirect('MOVED 4407 :2', a)).toEqual({ kind: 'moved', node: { host: a.host, port: 2 } });
  for (const other of ['ERR x', 'MOVED 4407 ?:2', 'MOVED x', 'TRYAGAIN Multiple keys'])
    expect(parseRedirect(other, a)).toBeNull();
});

test('a node that never answers is waited for only a moment once another one has', async () => {
  const clock = createFakeClock();
  const asked = askAll(
    [a, b],
    (node) => (node === a ? new Promise(() => undefined) : Promise.resolve(ok('b'))),
    clock,
  );
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  await clock.advance(200);
  expect(await asked).toEqual({ good: ['b'], errors: [] });
  expect(await askAll([a, b], (node) => Promise.resolve(err(node.host)), clock)).toEqual({
    good: [],
    errors: [a.host, b.host],
  });
});
