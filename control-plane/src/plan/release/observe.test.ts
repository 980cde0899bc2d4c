import { expect, it } from 'vitest';
import type { HeardGateway } from '../../model/gateway.js';
import { buildHeartbeat, buildRegistration } from '../../testing/builders.js';
import { buildInPlace, buildRelease } from '../../testing/releases.js';
import type { Member } from '../membership.js';
import type { World } from '../world.js';
import { chooseBatch } from './strategy/in_place/choose.js';
import { observeRelease, readyVersions, type Surroundings } from './observe.js';

const AROUND: Surroundings = {
  ...{ watcher: 'run-1', in_force: true, zookeeper: 'connected', totals: null, recent: null, answers: {} },
  call: null,
};
const member = (id: string, version: string): [string, Member] => [
  id,
  { registration: buildRegistration({ id, version }), presence: 'present', since: 0, vanished_at: null },
];

/** `shop` with a and b of v1, c and d of v2; each gateway says which of them it has out. */
function worldOf(out: Readonly<Record<string, readonly string[]>>): World {
  const heard = Object.entries(out).map(([id, names]): [string, HeardGateway] => {
    const health = Object.fromEntries(
      names.map((name) => [`shop|${name}`, { state: 'ejected', reason: 'connection refused', since: 1 }]),
    );
    const heartbeat = buildHeartbeat({ id, applied: { epoch: 1, generation: 1 }, health });
    return [id, { heartbeat, changed_at: 0 }];
  });
  return {
    ...{ frozen: null, wall: 0, epoch: 1, intents: new Map(), compiled: new Map(), published: new Map() },
    membership: new Map([
      ['shop', new Map([member('a', 'v1'), member('b', 'v1'), member('c', 'v2'), member('d', 'v2')])],
    ]),
    ...{ unsettled: new Set(), damaged: new Map(), holds: new Map(), problems: [], clashes: [] },
    history: new Map(),
    recent: new Map(),
    ...{ found: [], problems_since: new Map() },
    witnesses: {
      ...{ roster: new Map(), now: 0, silent_ms: 5_000, left: new Map(), shared: new Set() },
      ...{ fleet: { complete: true, listed: new Map(), heard: new Map(heard) } },
      ...{ unready: null, learning: false },
    },
  };
}

it.each<[string, Readonly<Record<string, readonly string[]>>, Readonly<Record<string, number>>]>([
  ['all are well', { g1: [], g2: [] }, { v1: 2, v2: 2 }],
  ['one gateway cannot reach it, another can', { g1: ['c'], g2: [] }, { v1: 2, v2: 2 }],
  ['one is out everywhere', { g1: ['c', 'a'], g2: ['c'] }, { v1: 2, v2: 1 }],
  ['all of a version are out everywhere', { g1: ['c', 'd'], g2: ['d', 'c'] }, { v1: 2 }],
])('ready for a release: %s', (_name, out, ready) => {
  const world = worldOf(out);
  expect(observeRelease(world, buildRelease(), AROUND).ready).toEqual(ready);
  expect(readyVersions(world, 'shop')).toEqual({ v1: 2, v2: 2 });
});

it('in place: the last instance that serves somewhere is not drained for a batch', () => {
  const record = buildInPlace({ state: 'preparing' });
  const world = {
    ...worldOf({ g1: ['b'] }),
    membership: new Map([['shop', new Map([member('a', 'v1'), member('b', 'v1')])]]),
  };
  const facts = observeRelease(world, record, AROUND);
  expect(facts.ready).toEqual({ v1: 1 });
  expect(facts.instances.map(({ id, able }) => [id, able])).toEqual([
    ['a', true],
    ['b', false],
  ]);
  // Whoever serves nobody goes first, and costs nothing.
  expect(chooseBatch(record, facts)).toMatchObject({ kind: 'batch', instances: [{ id: 'b' }] });
  const alone = observeRelease(world, buildInPlace({ state: 'preparing' }), AROUND);
  const rest = { ...alone, instances: alone.instances.filter(({ id }) => id === 'a') };
  expect(chooseBatch(record, rest)).toMatchObject({ kind: 'waits' });
});
