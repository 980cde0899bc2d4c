import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CONTRACTS } from '../model/contract.js';
import { NO_INTENT, type InstanceIntent, type IntentRecord, type ServiceSpec } from '../model/intent.js';
import type { Registration } from '../model/registration.js';
import { eligible } from '../model/set.js';
import { buildRegistration } from '../testing/builders.js';
import { compileService, countEligible } from './compile.js';
import { compileRoutes } from './compile_routes.js';
import { encode } from './encode.js';
import type { Member, Presence } from './membership.js';

const NOW = Date.parse('2026-05-01T12:00:00Z');

function member(fields: Partial<Registration> = {}, presence: Presence = 'present'): Member {
  return { registration: buildRegistration(fields), presence, since: 0, vanished_at: null };
}
function members(...list: readonly Member[]): ReadonlyMap<string, Member> {
  return new Map(list.map((one) => [one.registration.id, one]));
}
function intent(fields: Partial<InstanceIntent>): InstanceIntent {
  return { by: 'ann', reason: 'test', at: '2026-05-01T11:00:00Z', ...fields };
}
function record(fields: Partial<IntentRecord>): IntentRecord {
  return { ...NO_INTENT, ...fields };
}
const example = (name: string): string =>
  readFileSync(new URL(`../../../docs/contract/examples/${name}.json`, import.meta.url), 'utf8');

describe('the bytes of the contract come out of the plan', () => {
  test('a set', () => {
    const compiled = compileService(
      'orders',
      members(
        member({ service: 'orders', id: 'orders-9', host: '2001:db8::9', version: '' }),
        member({ service: 'orders', host: '10.0.1.8', version: 'v2' }),
        member({ service: 'orders', host: '10.0.1.7', version: 'v1' }),
      ),
      record({
        instances: {
          '10.0.1.8:8080': intent({ state: 'draining' }),
          'orders-9': intent({ state: 'isolated' }),
        },
      }),
      NOW,
    );
    expect(encode(compiled.set).payload).toBe(example('set'));
    expect(encode(compiled.set, 2).payload).toBe(example('set_v2'));
  });

  test('a set with every member', () => {
    const spec: ServiceSpec = {
      // Not in the order of the wire, and with members that equal their defaults.
      upstream: { tls: 'internal', scheme: 'https' },
      health: {
        check: {
          body: 'ok',
          ...{ type: 'http', path: '/health', host: 'orders.internal', port: 9090, interval_ms: 2_000 },
          ...{ timeout_ms: 500, rise: 3, fall: 2 },
          statuses: [
            [200, 299],
            [304, 304],
          ],
        },
        slow_start_ms: 30_000,
        max_ejected_percent: 40,
        fail_statuses: [500, 503],
      },
      retry: {
        ...{ budget_min_per_s: 5, budget_percent: 10, non_idempotent: true },
        on: 'gateway_error',
        tries: 3,
      },
      timeouts: { total_ms: 15_000, try_ms: 5_000, read_ms: 60_000 },
      balancer: {
        sticky: { max_age_s: 3_600, cookie: 'orders_at' },
        prefer_zone: true,
        max_load_percent: 150,
        hash_on: { name: 'x-user', source: 'header' },
      },
    };
    const compiled = compileService(
      'orders',
      members(
        member({ service: 'orders', host: '10.0.2.9', zone: 'eu-1b', backup: true }),
        member({ service: 'orders', host: '10.0.1.8', version: 'v2' }),
        member({ service: 'orders', host: '10.0.1.7', zone: 'eu-1a' }),
      ),
      record({
        spec,
        instances: {
          '10.0.1.8:8080': intent({ state: 'draining', keep_sticky_until: '2026-05-01T12:10:00Z' }),
        },
      }),
      NOW,
    );
    expect(encode(compiled.set).payload).toBe(example('set_full'));
    expect(encode(compiled.set, 2).payload).toBe(example('set_full_v2'));
    expect(compiled.valid_until).toBe(Date.parse('2026-05-01T12:10:00Z'));
  });

  test('the routes, in order, each with one owner', () => {
    const { table, clashes } = compileRoutes(
      new Map([
        ['orders', [{ host: 'api.example.com', path: '/orders' }]],
        [
          'shop',
          [
            { host: '*.example.com', path: '/' },
            { host: '*', path: '/' },
            { host: 'api.example.com', path: '/orders' },
          ],
        ],
      ]),
    );
    for (const contract of CONTRACTS) expect(encode(table, contract).payload).toBe(example('routes'));
    expect(clashes).toEqual([
      { route: { host: 'api.example.com', path: '/orders' }, service: 'shop', taken_by: 'orders' },
    ]);
  });

  test('a tombstone', () => {
    for (const contract of CONTRACTS)
      expect(encode({ v: 1, service: 'orders', removed: true }, contract).payload).toBe(example('tombstone'));
  });
});

describe('the strongest of an instance’s circumstances decides', () => {
  test.each<[string, Member, Partial<InstanceIntent> | null, string, number, boolean]>([
    ['nothing special', member(), null, 'up', 100, false],
    ['a weight', member(), { weight: 7 }, 'up', 7, false],
    ['missing', member({}, 'missing'), null, 'up', 100, false],
    ['suspect', member({}, 'suspect'), null, 'suspect', 100, false],
    ['suspect and drained', member({}, 'suspect'), { state: 'draining' }, 'draining', 0, false],
    ['not ready', member({ ready: false }), null, 'unready', 0, false],
    ['leaving and not ready', member({ ready: false, leaving: true }), null, 'draining', 0, false],
    ['leaving with a weight', member({ leaving: true }), { weight: 50 }, 'draining', 0, false],
    ['leaving and isolated', member({ leaving: true }), { state: 'isolated' }, 'isolated', 0, true],
    ['cut', member(), { state: 'cut' }, 'cut', 0, true],
    ['gone and isolated', member({}, 'gone'), { state: 'isolated' }, 'gone', 0, true],
    [
      'an intent that expired',
      member(),
      { state: 'isolated', expires: '2026-05-01T12:00:00Z' },
      'up',
      100,
      false,
    ],
    [
      'an intent that has not',
      member(),
      { state: 'isolated', expires: '2026-05-01T12:00:01Z' },
      'isolated',
      0,
      true,
    ],
  ])('%s', (_name, one, wanted, state, weight, down) => {
    const { id } = one.registration;
    const instances = wanted ? { [id]: intent(wanted) } : {};
    const { explained } = compileService('shop', members(one), record({ instances }), NOW);
    expect(explained.get(id)?.peer).toMatchObject({ state, weight, down });
    expect(explained.get(id)?.why.length).toBeGreaterThan(0);
  });

  test('a set with an expiring intent is valid until then', () => {
    const instances = { '10.0.0.1:8080': intent({ weight: 3, expires: '2026-05-01T13:00:00Z' }) };
    expect(compileService('shop', members(member()), record({ instances }), NOW).valid_until).toBe(
      Date.parse('2026-05-01T13:00:00Z'),
    );
  });
});

describe('version shares', () => {
  const fleet = members(
    member({ host: '10.0.0.1', version: 'v1' }),
    member({ host: '10.0.0.2', version: 'v1', weight: 300 }),
    member({ host: '10.0.0.3', version: 'v2' }),
  );
  const weights = (versions: Record<string, number>, instances: IntentRecord['instances'] = {}): number[] =>
    compileService('shop', fleet, record({ versions, instances }), NOW).set.peers.map((peer) => peer.weight);

  test.each<[Record<string, number>, number[]]>([
    [{}, [100, 300, 100]],
    [{ v1: 80, v2: 20 }, [200_000, 600_000, 200_000]],
    [{ v1: 100, v2: 0 }, [250_000, 750_000, 0]],
    [{ v2: 100 }, [0, 0, 1_000_000]],
  ])('%j', (versions, expected) => {
    expect(weights(versions)).toEqual(expected);
  });
  test('the share of a drained instance goes to the others of its version', () => {
    expect(weights({ v1: 80, v2: 20 }, { '10.0.0.2:8080': intent({ state: 'draining' }) })).toEqual([
      800_000, 0, 200_000,
    ]);
  });
});

describe('backups', () => {
  const wanted = (backup: boolean) => ({ '10.0.0.1:8080': intent({ backup }) });
  test.each<[boolean, IntentRecord['instances'], boolean | undefined]>([
    [false, {}, undefined],
    [true, {}, true],
    [true, wanted(false), undefined],
    [false, wanted(true), true],
  ])('registered %j, wanted %j', (backup, instances, expected) => {
    const { explained } = compileService('shop', members(member({ backup })), record({ instances }), NOW);
    expect(explained.get('10.0.0.1:8080')?.peer.backup).toBe(expected);
  });
  test('a backup takes nothing of the share that the others of its version divide', () => {
    const fleet = members(
      member({ host: '10.0.0.1', version: 'v1' }),
      member({ host: '10.0.0.2', version: 'v1', backup: true, weight: 300 }),
      member({ host: '10.0.0.3', version: 'v2' }),
    );
    const { set } = compileService('shop', fleet, record({ versions: { v1: 80, v2: 20 } }), NOW);
    expect(set.peers.map((peer) => peer.weight)).toEqual([800_000, 800_000, 200_000]);
  });
});

const anyMember = fc.record({
  host: fc.integer({ min: 1, max: 12 }).map((n) => `10.0.0.${String(n)}`),
  version: fc.constantFrom('v1', 'v2'),
  weight: fc.integer({ min: 0, max: 10_000 }),
  ready: fc.boolean(),
  leaving: fc.boolean(),
  presence: fc.constantFrom<Presence>('present', 'missing', 'suspect', 'gone'),
});
const anyIntent = fc.record({
  host: fc.integer({ min: 1, max: 12 }).map((n) => `10.0.0.${String(n)}:8080`),
  state: fc.constantFrom(undefined, 'draining' as const, 'isolated' as const, 'cut' as const),
  weight: fc.option(fc.integer({ min: 0, max: 10_000 }), { nil: undefined }),
});

test('property: compiling is order-independent, bounded, and gives nothing to what an operator took out', () => {
  fc.assert(
    fc.property(fc.array(anyMember), fc.array(anyIntent), fc.boolean(), (list, intents, split) => {
      const made = list.map(({ presence, ...rest }) => member(rest, presence));
      const instances = Object.fromEntries(
        intents
          .filter((wanted) => wanted.state !== undefined || wanted.weight !== undefined)
          .map(({ host, ...wanted }) => [
            host,
            intent(JSON.parse(JSON.stringify(wanted)) as Partial<InstanceIntent>),
          ]),
      );
      const rec = record({ instances, versions: split ? { v1: 90, v2: 10 } : {} });
      const unique = [...members(...made).values()];
      const { set } = compileService('shop', members(...unique), rec, NOW);
      const again = compileService('shop', members(...unique.toReversed()), rec, NOW);
      expect(encode(again.set)).toEqual(encode(set));
      expect(countEligible(set)).toBeLessThanOrEqual(unique.length);
      for (const peer of set.peers) {
        expect(Number.isInteger(peer.weight) && peer.weight >= 0 && peer.weight <= 1_000_000).toBe(true);
        const wanted = instances[peer.id];
        if (wanted?.state !== undefined || wanted?.weight === 0) expect(eligible(peer)).toBe(false);
      }
    }),
  );
});
