import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServiceEvent, ServiceResource } from '../control-plane/src/testkit.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { startInstance, type Instance } from './harness/instance.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import type { Run } from './harness/cli.js';
import { until } from './harness/until.js';

/*
 * What gateways find of instances is known to everybody who decides or looks: guards, tables, events, metrics.
 */

let platform: ControlledPlatform;
let one: RegisteredInstance;
let two: RegisteredInstance;
const revived: Instance[] = [];

beforeAll(async () => {
  platform = await ControlledPlatform.start();
  [one, two] = await Promise.all([platform.startInstance(), platform.startInstance()]);
  await platform.route();
  const check = { type: 'http', path: '/', interval_ms: 1_000, timeout_ms: 900, rise: 1, fall: 3 };
  const patched = await platform.call(
    'PATCH',
    '/v1/services/shop',
    { health: { check } },
    { 'if-match': '*' },
  );
  expect(patched.status).toBe(200);
  await platform.converged();
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  await Promise.all(revived.map((instance) => instance.stop()));
});

const cli = (...args: readonly string[]): Promise<Run> => platform.cli(...args);

async function healthy(count: number): Promise<ServiceResource> {
  await until(
    `${String(count)} are healthy`,
    async () => (await platform.service()).instances.healthy === count,
  );
  return platform.service();
}

const codes = ({ problems }: ServiceResource): readonly string[] => problems.map(({ code }) => code).sort();

async function events(): Promise<readonly string[]> {
  const { body } = await platform.call<{ readonly items: readonly ServiceEvent[] }>(
    'GET',
    '/v1/services/shop/events',
  );
  return body.items
    .filter(({ event }) => ['ejected', 'failing', 'recovered', 'panic'].includes(event))
    .map(({ event, instance = '*' }) => `${event} ${instance}`);
}

async function metric(name: string): Promise<number | null> {
  const { text } = await platform.text('/metrics');
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return line === undefined ? null : Number(line.slice(name.length));
}
const HEALTHY = 'ebbgate_instances{service="shop",state="healthy"}';

test('one of two dies: the other one cannot be taken away by any verb, and everybody sees why', async () => {
  await healthy(2);
  expect(codes(await platform.service())).toEqual([]);
  await two.stop();
  expect(codes(await healthy(1))).toEqual(['unhealthy']);

  const refused = await cli('drain', '-s', 'shop', one.id);
  expect(refused).toMatchObject({ code: 5 });
  expect(refused.stderr).toContain('shop would have no instance left that takes requests');
  await until('both gateways find it failing', async () => {
    const { stderr } = await cli('drain', '-s', 'shop', one.id, '--dry-run');
    return stderr.includes(`${two.id} is failing on gateways gateway-1 and gateway-2 (`);
  });
  const at = `/v1/services/shop/instances/${encodeURIComponent(one.id)}`;
  for (const [method, path, body] of [
    ['POST', `${at}/isolate`, {}],
    ['PATCH', at, { weight: 0 }],
    ['POST', '/v1/drains', { selector: { service: 'shop', ids: [one.id] } }],
  ] as const) {
    const answer = await platform.call<{ readonly code: string }>(method, path, body, { 'if-match': '*' });
    expect([path, answer.status, answer.body.code]).toEqual([path, 409, 'guard_refused']);
  }
  expect((await cli('drain', '-s', 'shop', two.id, '--dry-run')).code).toBe(0);

  const services = await cli('get', 'services');
  expect(services.stdout).toMatch(/SERVING +HEALTH[^]*shop +2\/2 +1\/2 /);
  const instances = await cli('get', 'instances', 'shop');
  expect(instances.stdout).toMatch(new RegExp(`${two.id} +v1 +up +failing 2/2 `));
  expect((await platform.instance(two.id)).why[0]).toMatch(/^failing on gateways gateway-1 and gateway-2 \(/);
  expect((await events()).filter((line) => line.endsWith(two.id))).toEqual([`failing ${two.id}`]);
  expect(await metric(HEALTHY)).toBe(1);

  const forced = await cli('drain', '-s', 'shop', one.id, '--force', '--reason', 'it must go');
  expect(forced.code).toBe(0);
  // Now every instance that may get requests is out.
  await until('the panic is reported', async () => (await events()).includes('panic *'));
  await platform.undrain(one.id);
  await until('its end is reported', async () => (await events()).includes('recovered *'));
});

test('all are dead: none is healthy, gateways panic, and what alerts ask for says so', async () => {
  const before = await events();
  await one.stop();
  await healthy(0);
  await until('the panic is reported', async () => codes(await platform.service()).includes('panic'));
  expect(codes(await platform.service())).toEqual(['panic', 'unhealthy', 'unhealthy']);
  expect((await cli('get', 'services')).stdout).toMatch(/shop +2\/2 +0\/2 /);
  expect(await metric(HEALTHY)).toBe(0);
  expect(await metric('ebbgate_service_problems{service="shop"}')).toBe(3);
  expect((await events()).slice(before.length).sort()).toEqual([`failing ${one.id}`, 'panic *']);
});

test('they come back: recovered is reported once for each, and nothing is left', async () => {
  const before = await events();
  for (const { port, id } of [one, two]) revived.push(await startInstance({ service: 'shop', port, id }));
  await healthy(2);
  // It is unhealthy as long as one gateway finds it so.
  await until('no gateway finds one failing', async () => codes(await platform.service()).length === 0);
  await until('all three ends are reported', async () => (await events()).length >= before.length + 3);
  const reported = (await events()).slice(before.length);
  expect(reported.sort()).toEqual([`recovered ${one.id}`, `recovered ${two.id}`, 'recovered *'].sort());
  expect(await metric(HEALTHY)).toBe(2);
});

test('a store that does not answer: what is read says since when, and the command line in one line', async () => {
  const stale = async (): Promise<string | null> => (await platform.text('/v1/services')).stale;
  expect(await stale()).toBeNull();
  await platform.zookeeper.freeze();
  await until('ZooKeeper is missed', async () => /^zookeeper=2/.test((await stale()) ?? ''));
  const shown = await cli('get', 'services', '-o', 'json');
  expect(shown.code).toBe(0);
  expect(shown.stderr.match(/^warning: ZooKeeper has not answered since .*$/gm)).toHaveLength(1);
  expect(JSON.parse(shown.stdout)).toMatchObject({ items: [{ service: 'shop' }] });
  platform.zookeeper.thaw();
  await until('ZooKeeper answers', async () => (await stale()) === null);
  await platform.redis.kill();
  await until('Redis is missed', async () => /^redis=2/.test((await stale()) ?? ''));
  expect((await cli('get', 'gateways')).stderr).toContain('Redis has not answered since');
  await platform.redis.start();
  await until('Redis answers', async () => (await stale()) === null);
  expect((await cli('get', 'services')).stderr).toBe('');
});

test('a store that refuses every write: not ready, with its words, and ready again', async () => {
  const READY = 'ebbgate_controller_ready';
  expect(await metric(READY)).toBe(1);
  await platform.data.config('SET', 'maxmemory', '1');
  await until('it is not ready', async () => (await platform.call('GET', '/readyz')).status === 503);
  const { body } = await platform.call('GET', '/readyz');
  expect(body).toMatchObject({
    ready: false,
    redis: { state: 'degraded', detail: expect.stringMatching(/^refuses writes: OOM/) as string },
  });
  expect(await metric(READY)).toBe(0);
  await platform.data.config('SET', 'maxmemory', '0');
  await platform.ready();
  expect(await metric(READY)).toBe(1);
});
