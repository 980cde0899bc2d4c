import { describe, expect, test } from 'vitest';
import { NO_INTENT } from '../model/intent.js';
import type { RegistryProblem } from '../model/registration.js';
import { problemKey } from '../model/standing_problem.js';
import { buildRegistration, buildWitnesses } from '../testing/builders.js';
import { compileService } from './compile.js';
import { describeService } from './describe_service.js';
import { describeProblems } from './find_problems.js';
import type { Member } from './membership.js';
import { isKnown, serviceNames, type World } from './world.js';

/** A world of which nothing is known yet: no service, no gateway, nothing published. */
function buildWorld(fields: Partial<World> = {}): World {
  return {
    wall: 0,
    epoch: 7,
    membership: new Map(),
    intents: new Map(),
    compiled: new Map(),
    published: new Map(),
    unsettled: new Set(),
    damaged: new Map(),
    holds: new Map(),
    problems: [],
    found: [],
    problems_since: new Map(),
    clashes: [],
    frozen: null,
    witnesses: {
      roster: new Map(),
      fleet: { complete: true, heard: new Map(), listed: new Map() },
      left: new Map(),
      shared: new Set(),
      now: 0,
      silent_ms: 5_000,
      unready: null,
      learning: false,
    },
    recent: new Map(),
    history: new Map(),
    ...fields,
  };
}

const PATH = '/services/shop/providers/a';
const BAD: RegistryProblem = { service: 'shop', path: PATH, code: 'bad_json', field: '', message: 'no JSON' };
const ODD: RegistryProblem = {
  ...{ service: null, path: '/services/my shop', code: 'bad_service_name', field: 'service' },
  message: 'bad name',
};

describe('a service whose only registrations are bad', () => {
  const world = buildWorld({ problems: [BAD], wall: 5_000 });

  test('exists, with no instance and its problem', () => {
    expect(serviceNames(world)).toEqual(['shop']);
    expect(isKnown(world, 'shop')).toBe(true);
    expect(describeService(world, 'shop')).toMatchObject({
      service: 'shop',
      instances: { total: 0, eligible: 0 },
      problems: [{ code: 'bad_json', path: PATH, severity: 'error', field: null, instance: null }],
    });
  });

  test('since is the first look, not the last', () => {
    const known = buildWorld({
      problems: [BAD],
      wall: 5_000,
      problems_since: new Map([
        [problemKey({ code: 'bad_json', service: 'shop', path: PATH, message: '' }), 1_000],
      ]),
    });
    expect(describeProblems(known)).toMatchObject([{ since: '1970-01-01T00:00:01.000Z' }]);
    expect(describeProblems(world)).toMatchObject([{ since: '1970-01-01T00:00:05.000Z' }]);
  });
});

test('a service name that is not taken is a problem of no service, at its path', () => {
  const world = buildWorld({ problems: [ODD] });
  expect(serviceNames(world)).toEqual([]);
  expect(describeProblems(world)).toMatchObject([
    { code: 'bad_service_name', service: null, path: '/services/my shop' },
  ]);
});

test('persistent registrations are one note of their service, at their folder', () => {
  const member = (id: string, persistent: boolean): [string, Member] => {
    const registration = { ...buildRegistration({ id }), persistent, path: `/services/shop/providers/${id}` };
    return [id, { registration, presence: 'present', since: 0 } as unknown as Member];
  };
  const members = new Map([member('a', false), member('b', true), member('c', true)]);
  const compiled = new Map([['shop', compileService('shop', members, NO_INTENT, 0)]]);
  const [problem, ...others] = describeProblems(buildWorld({ compiled }));
  expect(problem).toMatchObject({
    code: 'persistent_node',
    severity: 'note',
    service: 'shop',
    path: '/services/shop/providers',
    message: expect.stringMatching(/2 nodes, like .*\/b.* nothing removes them/) as string,
  });
  expect(others).toEqual([]);
});

test('a routed service has a problem while nobody takes its requests', () => {
  const record = { ...NO_INTENT, spec: { routes: [{ host: '*', path: '/' }] } };
  const intents = new Map([['shop', { service: 'shop', record, etag: '1-1' }]]);
  const member: Member = {
    ...{
      registration: buildRegistration({ ready: false }),
      presence: 'present',
      since: 0,
      vanished_at: null,
    },
  };
  const members = new Map([['a', member]]);
  const unready = new Map([['shop', compileService('shop', members, record, 0)]]);
  expect(describeProblems(buildWorld({ intents, compiled: unready }))).toMatchObject([
    { code: 'no_instance', service: 'shop' },
  ]);
  const up = new Map([['a', { ...member, registration: buildRegistration() }]]);
  const compiled = new Map([['shop', compileService('shop', up, record, 0)]]);
  expect(describeProblems(buildWorld({ intents, compiled }))).toEqual([]);
});

test('what only the controller can see is of its service, and makes it known', () => {
  const found = [
    { code: 'damaged_intent', service: 'cart', path: '/ebbgate/intents/cart', message: 'x' },
  ] as const;
  const world = buildWorld({ found, problems: [BAD] });
  expect(serviceNames(world)).toEqual(['cart', 'shop']);
  expect(describeService(world, 'cart')?.problems).toMatchObject([{ code: 'damaged_intent' }]);
  expect(describeProblems(world).map(({ service }) => service)).toEqual(['cart', 'shop']);
});

describe('the contract', () => {
  const NONE = { version: 1, most: 2, limited_by: [], left_behind: [], limited_since: null } as const;
  const found = (contract: Partial<NonNullable<World['contract']>>, wall = 600_000) =>
    describeProblems(buildWorld({ wall, contract: { ...NONE, ...contract } }));

  test('that gateways keep down is a note about each of them, after ten minutes', () => {
    expect(found({ limited_by: ['g1', 'g2'], limited_since: 1 })).toEqual([]);
    const notes = found({ limited_by: ['g1', 'g2'], limited_since: 0 });
    expect(notes).toMatchObject([
      { code: 'old_contract', severity: 'note', field: 'g1', service: null },
      { code: 'old_contract', field: 'g2' },
    ]);
    expect(notes[0]?.message).toMatch(/gateway g1 understands no contract above 1.*upgrade it, or forget it/);
  });

  test('that a gateway does not understand is an error about it, at once', () => {
    expect(found({ version: 2, left_behind: ['g3'] }, 0)).toMatchObject([
      { code: 'unknown_contract', severity: 'error', field: 'g3' },
    ]);
  });

  test('that a set needs, and not all understand, is an error of its service that names them', () => {
    const spec = { ...NO_INTENT.spec, limits: [{ name: 'all', rate: '1/s' }] };
    const compiled = new Map([
      ['shop', compileService('shop', new Map(), { ...NO_INTENT, spec }, 0)],
      ['cart', compileService('cart', new Map(), NO_INTENT, 0)],
    ]);
    const of = (contracts: readonly number[], version: 1 | 2) => {
      const witnesses = buildWitnesses({ g1: { contracts: [1, 2] }, g2: { contracts } });
      return describeProblems(buildWorld({ compiled, witnesses, contract: { ...NONE, version } }));
    };
    const [problem, ...more] = of([1], 1).filter(({ code }) => code === 'unknown_contract');
    expect(more).toEqual([]);
    expect(problem).toMatchObject({ service: 'shop', field: 'limits', severity: 'error' });
    expect(problem?.message).toContain('g2 cannot enforce the limits of shop');
    for (const all of [of([1, 2], 1), of([1, 2], 2)])
      expect(all.filter(({ code }) => code === 'unknown_contract')).toEqual([]);
  });

  test('that routes need, and not all understand, is an error of whoever has such a route', () => {
    const withRoute = (more: object) => ({
      record: { ...NO_INTENT, spec: { routes: [{ host: '*', path: '/', ...more }] } },
      etag: '1',
    });
    const intents = new Map([
      ['shop', withRoute({ methods: ['GET'] })],
      ['cart', withRoute({ name: 'cart' })],
    ]) as unknown as World['intents'];
    const of = (contracts: readonly number[]) => {
      const witnesses = buildWitnesses({ g1: { contracts } });
      const found = describeProblems(buildWorld({ intents, witnesses, contract: NONE }));
      return found.filter(({ code }) => code === 'unknown_contract');
    };
    expect(of([1])).toMatchObject([{ service: 'shop', field: 'routes', severity: 'error' }]);
    expect(of([1, 2])).toEqual([]);
  });

  test('that all understand is no problem', () => {
    expect(found({})).toEqual([]);
    expect(describeProblems(buildWorld())).toEqual([]);
  });
});
