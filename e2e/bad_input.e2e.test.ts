import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type GatewayResource,
  type ServiceResource,
  systemClock,
  ZooKeeperLink,
} from '../control-plane/src/testkit.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { sendMany, startTraffic, type Traffic } from './harness/traffic.js';
import { until } from './harness/until.js';

let platform: ControlledPlatform;
let fleet: readonly RegisteredInstance[] = [];
let traffic: Traffic;
let link: ZooKeeperLink;

const quiet = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

beforeAll(async () => {
  platform = await ControlledPlatform.start();
  fleet = await Promise.all([platform.startInstance(), platform.startInstance()]);
  await platform.route();
  link = new ZooKeeperLink({
    connect: `127.0.0.1:${String(platform.ports.zookeeper)}`,
    sessionTimeoutMs: 4_000,
    log: quiet,
    clock: systemClock,
    random: Math.random,
  });
  await link.start();
  traffic = startTraffic({ url: platform.gateways[0]!.url, rate: 40 });
});
afterAll(async () => {
  await traffic.stop();
  await link.close();
  await platform[Symbol.asyncDispose]();
});

/** Puts what no registrar would write into a provider node. Resolves with the way to take it out again. */
async function registerRaw(node: string, data: string): Promise<() => Promise<void>> {
  const connection = await until('a connection to ZooKeeper', () => link.connection);
  const path = `/services/shop/providers/${node}`;
  const created = await connection.create(path, Buffer.from(data), { ephemeral: true });
  if (!created.ok) throw new Error(created.error.message);
  return async () => {
    const removed = await connection.remove(path, 0);
    if (!removed.ok) throw new Error(removed.error.message);
  };
}
const problems = async (): Promise<ServiceResource['problems']> => (await platform.service()).problems;

test.each<[string, object | string, RegExp]>([
  ['garbage', '\u0000not json', /JSON/],
  ['no host', { id: 'bad', port: 80 }, /host/],
  ['a host outside the allowed networks', { id: 'bad', host: '8.8.8.8', port: 80 }, /8\.8\.8\.8|network/],
  ['a name for a host', { id: 'bad', host: 'localhost', port: 80 }, /host/],
  ['a weight out of range', { id: 'bad', host: '127.0.0.1', port: 80, weight: -1 }, /weight/],
])(
  '%s in a provider node is shown as a problem of its service, and nothing else stops',
  async (_name, data, message) => {
    const withdraw = await registerRaw('bad', typeof data === 'string' ? data : JSON.stringify(data));
    const found = await until('the problem is shown', async () => {
      const list = await problems();
      return list.length > 0 ? list : undefined;
    });
    expect(found[0]?.message).toMatch(message);
    expect((await platform.service()).instances).toMatchObject({ eligible: 2 });
    await withdraw();
    await until('it goes with its node', async () => (await problems()).length === 0);
    const after = await sendMany({ url: platform.gateways[0]!.url, count: 50 });
    expect(after.failed).toEqual([]);
  },
);

test('a corrupted set in Redis is kept out, named with its code, and healed by a new epoch', async () => {
  const before = await platform.call<{ epoch: number }>('GET', '/v1/services/shop/set');
  // Damage it the way a stray write would: the payload changes, and the gateways are asked to look.
  const generation = await platform.data.hincrby('{ebb}:meta', 'generation', 1);
  await platform.data.hset('{ebb}:set:shop', {
    payload: '{"v":1,"service":"shop","peers":[',
    generation: String(generation),
  });
  await platform.data.zadd('{ebb}:index', generation, 'shop');
  await platform.data.publish('{ebb}:changed', `${String(before.body.epoch)}:${String(generation)}`);
  await until('a gateway names it, or it is healed already', async () => {
    const gateways = await platform.call<{ items: readonly GatewayResource[] }>('GET', '/v1/gateways');
    const named = gateways.body.items.some((one) => one.rejected.some((set) => set.service === 'shop'));
    return (
      named ||
      (await platform.call<{ epoch: number }>('GET', '/v1/services/shop/set')).body.epoch > before.body.epoch
    );
  });
  await until('every gateway obeys a sound set again', async () => {
    const gateways = await platform.fleet();
    return (
      gateways.every((one) => one.rejected.length === 0) && (await platform.service()).convergence?.converged
    );
  });
  const after = await sendMany({ url: platform.gateways[1]!.url, count: 100 });
  expect(after.failed).toEqual([]);
  expect(after.instances.size).toBe(fleet.length);
});

test.each<
  [string, 'GET' | 'POST' | 'PATCH', string, unknown, Record<string, string>, number, string, RegExp]
>([
  [
    'a bad weight',
    'PATCH',
    '/v1/services/shop/instances/ID',
    { weight: 'heavy' },
    { 'if-match': '*' },
    400,
    'invalid_request',
    /weight/,
  ],
  [
    'an unknown member',
    'POST',
    '/v1/services/shop/instances/ID/drain',
    { tiemout: '5s' },
    {},
    400,
    'invalid_request',
    /tiemout/,
  ],
  [
    'no If-Match',
    'PATCH',
    '/v1/services/shop',
    { min_available: 1 },
    {},
    428,
    'precondition_required',
    /If-Match/,
  ],
  [
    'a stale If-Match',
    'PATCH',
    '/v1/services/shop',
    { min_available: 2 },
    { 'if-match': '"abc-99"' },
    412,
    'precondition_failed',
    /changed|read/i,
  ],
  [
    'shares that do not sum',
    'PATCH',
    '/v1/services/shop/versions',
    { v1: 70 },
    { 'if-match': '*' },
    400,
    'invalid_request',
    /100/,
  ],
  ['an unknown service', 'GET', '/v1/services/nothing', undefined, {}, 404, 'not_found', /nothing/],
  [
    'a bad path in a route',
    'PATCH',
    '/v1/services/shop',
    { routes: [{ host: '*', path: 'x' }] },
    { 'if-match': '*' },
    400,
    'invalid_request',
    /path/,
  ],
])('%s: a clear problem', async (_name, method, path, body, headers, status, code, detail) => {
  const answer = await platform.call(method, path.replace('ID', fleet[0]?.id ?? ''), body, headers);
  expect(answer).toMatchObject({ status, body: { code, status } });
  expect(answer.headers['content-type']).toMatch(/application\/problem\+json/);
  expect(JSON.stringify(answer.body)).toMatch(detail);
});

test.each<[readonly string[], RegExp]>([
  [['drain', '-s', 'shop'], /instance|version|host/],
  [['drain', '-s', 'shop', 'x', '--timeout', 'soon'], /timeout/],
  [['weight', 'shop', 'a=heavy'], /heavy|weight/],
  [['get', 'nonsense'], /nonsense/],
  [['register', '--service', 'Shop!', '--host', '127.0.0.1', '--port', '80'], /service/],
  [['register', '--service', 'shop', '--host', '127.0.0.1', '--port', 'http'], /port/],
  [['up', '--base-port', '99999'], /base-port/],
  [['render', '--workers', '-1'], /workers/],
])('ebbgate %j is refused as usage, and says what to correct', async (args, message) => {
  const run = await platform.cli(...args);
  expect(run.stderr).toMatch(message);
  expect(run.code).toBe(2);
});

test('and all the while traffic was served', () => {
  expect(traffic.total()).toBeGreaterThan(100);
  expect(traffic.failed).toEqual([]);
});
