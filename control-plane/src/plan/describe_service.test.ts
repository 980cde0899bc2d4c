import { expect, test } from 'vitest';
import type { Heartbeat } from '../model/gateway.js';
import { buildRegistration, buildWitnesses } from '../testing/builders.js';
import { compileService } from './compile.js';
import { describeInstances, describeService } from './describe_service.js';
import type { Member, ServiceMembers } from './membership.js';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import type { World } from './world.js';

const applied = { epoch: 1, generation: 1 };
const members: ServiceMembers = new Map(
  ['a', 'b'].map((id, at): [string, Member] => {
    const registration = buildRegistration({ id, host: `10.0.0.${String(at + 1)}` });
    return [id, { registration, presence: 'present', since: 0, vanished_at: null }];
  }),
);
function worldOf(
  heard: Readonly<Record<string, Partial<Heartbeat>>>,
  record: IntentRecord = NO_INTENT,
): World {
  return {
    ...{
      frozen: null,
      wall: 0,
      epoch: 1,
      published: new Map(),
      unsettled: new Set(),
      damaged: new Map(),
      found: [],
      problems_since: new Map(),
    },
    ...{ holds: new Map(), problems: [], clashes: [], history: new Map(), recent: new Map() },
    membership: new Map([['shop', members]]),
    intents: new Map([['shop', { service: 'shop', record, etag: '1-1' }]]),
    compiled: new Map([['shop', compileService('shop', members, record, 0)]]),
    witnesses: buildWitnesses(heard),
  };
}
const dead = (...ids: readonly string[]): NonNullable<Heartbeat['health']> =>
  Object.fromEntries(ids.map((id) => [`shop|${id}`, { state: 'failing', reason: 'status 500', since: 1 }]));
const summary = (world: World) => {
  const { instances, problems } = describeService(world, 'shop')!;
  return { healthy: instances.healthy, problems: problems.map(({ code, message }) => `${code}: ${message}`) };
};

test('all are dead: none is healthy, each is a problem, and so is panic', () => {
  const beat = { applied, health: dead('a', 'b'), panic: ['shop'] };
  expect(summary(worldOf({ g1: beat, g2: beat }))).toEqual({
    healthy: 0,
    problems: [
      'unhealthy: a is failing on gateways g1 and g2 (status 500)',
      'unhealthy: b is failing on gateways g1 and g2 (status 500)',
      'panic: gateways g1 and g2 ignore health: too many of its instances are out',
    ],
  });
});

test('one gateway cannot reach one: it serves by the other one, and is a problem', () => {
  const world = worldOf({ g1: { applied, health: dead('a') }, g2: { applied } });
  const problems = ['unhealthy: a is failing on gateway g1 (status 500)'];
  expect(summary(world)).toEqual({ healthy: 2, problems });
  expect(describeInstances(world, 'shop')!.map(({ why }) => why)).toEqual([
    ['failing on gateway g1 (status 500)', 'registered weight 100'],
    ['registered weight 100'],
  ]);
});

test('nobody is heard: nobody knows; an instance that is out is not checked', () => {
  expect(summary(worldOf({}))).toEqual({ healthy: null, problems: [] });
  const instances = { a: { state: 'isolated' as const, by: 'ann', reason: '', at: '2026-05-01T12:00:00Z' } };
  const isolated = worldOf({ g1: { applied, health: dead('a') } }, { ...NO_INTENT, instances });
  expect(summary(isolated)).toEqual({ healthy: 1, problems: [] });
});

test('shares of versions that are called like members of every object are numbers', () => {
  const of: ServiceMembers = new Map(
    ['constructor', '__proto__', 'v1', 'v1'].map((version, at): [string, Member] => {
      const registration = buildRegistration({ id: String(at), version });
      return [registration.id, { registration, presence: 'present', since: 0, vanished_at: null }];
    }),
  );
  const compiled = new Map([['shop', compileService('shop', of, NO_INTENT, 0)]]);
  const shares = describeService(
    { ...worldOf({}), membership: new Map([['shop', of]]), compiled },
    'shop',
  )?.effective_shares;
  expect(new Map(Object.entries(shares ?? {}))).toEqual(
    new Map([
      ['__proto__', 25],
      ['constructor', 25],
      ['v1', 50],
    ]),
  );
});
