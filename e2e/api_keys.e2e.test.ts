import { readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Agent, request } from 'undici';
import type { ConsumerResource, LocalGateway } from '../control-plane/src/testkit.js';
import { ControlledPlatform, type ControlledGateway } from './harness/controlled_platform.js';
import { gatewayPlace, startGateway } from './harness/gateway.js';
import { openRawClient } from './harness/raw.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { until } from './harness/until.js';

/*
 * Consumers and their keys, on two gateways: who comes in, what the instances hear of it, how soon a key is valid and refused
 * everywhere, and that no log has a key.
 */

const LONG = process.env.EBBGATE_LONG !== undefined;
const MOST_MS = 1_000;
/** Somebody who logs what he should not. */
const LOGGED = ['query=arg_api_key', 'header=http_x_api_key'];
const agent = new Agent({ connections: 8 });

let platform: ControlledPlatform;
let instance: RegisteredInstance;
/** Every key that was given to anybody: none may be in a log. */
const given: string[] = [];

beforeAll(async () => {
  platform = await ControlledPlatform.start({
    gateway: { log_fields: LOGGED },
  });
  instance = await platform.startInstance();
  await serve('open');
  await platform.route();
  await platform.patch('shop', { auth: { type: 'api_key', query: 'api_key' } });
  await platform.converged();
});
afterAll(async () => {
  await agent.close();
  await platform[Symbol.asyncDispose]();
});

/** Starts a service that is reached by its own host. */
async function serve(service: string): Promise<void> {
  await platform.startInstance({ service });
  await platform.patch(service, { routes: [{ host: service, path: '/' }] });
  for (const one of platform.gateways)
    await until(`${service} is reached`, async () => (await ask(one, '/', { host: service })).status === 200);
}

interface Heard {
  readonly status: number;
  readonly body: {
    readonly url?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly code?: string;
  };
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What one gateway answers. */
async function ask(
  { url }: Pick<ControlledGateway, 'url'>,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Heard> {
  const answer = await request(url + path, { headers, dispatcher: agent });
  const text = await answer.body.text();
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: text.startsWith('{') ? (JSON.parse(text) as Heard['body']) : {},
  };
}

const [first, second] = [0, 1].map((n) => () => platform.gateways[n] as ControlledGateway) as [
  () => ControlledGateway,
  () => ControlledGateway,
];

async function ebbgate(...args: readonly string[]): Promise<string> {
  const run = await platform.cli(...args);
  expect([run.code, run.stderr]).toEqual([0, expect.any(String)]);
  return run.stdout;
}

/** Changes something of a consumer, and waits until every gateway obeys. */
async function change<T = unknown>(
  method: 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: object,
): Promise<T> {
  const answer = await platform.call<T>(method, `/v1/consumers${path}`, body);
  expect([answer.status, answer.body]).toEqual([
    expect.any(Number),
    expect.objectContaining({ published: true }),
  ]);
  const { body: state } = await platform.call<{ readonly converged: boolean }>(
    'GET',
    '/v1/services/@keys/convergence?wait=20s',
  );
  expect(state.converged).toBe(true);
  return answer.body;
}

/** Gives a consumer a key and waits until every gateway knows it. */
async function addKey(consumer: string, body: object = {}): Promise<string> {
  const { key } = await change<{ readonly key: string }>('POST', `/${consumer}/keys`, body);
  given.push(key);
  return key;
}

async function keysOf(consumer: string): Promise<ConsumerResource['keys']> {
  return (await platform.call<ConsumerResource>('GET', `/v1/consumers/${consumer}`)).body.keys;
}

test('who has no key stays out; who has one comes in on every gateway, and the instance hears who it is', async () => {
  await ebbgate('consumer', 'create', 'acme', '--reason', 'first customer');
  const key = (await ebbgate('consumer', 'key', 'add', 'acme', '--wait')).trim();
  given.push(key);
  expect(key).toMatch(/^ebk_[A-Za-z0-9_-]{43}$/);
  for (const gateway of platform.gateways) {
    const without = await ask(gateway, '/echo');
    expect([without.status, without.body.code]).toEqual([401, 'unauthenticated']);
    expect(without.headers['www-authenticate']).toBe(
      'ApiKey realm="shop", header="X-API-Key", query="api_key"',
    );
    expect((await ask(gateway, '/echo', { 'x-api-key': `${key}x` })).status).toBe(401);
    expect((await ask(gateway, '/echo', { 'x-api-key': key.toLowerCase() })).status).toBe(401);
    const { status, body } = await ask(gateway, '/echo', { 'x-api-key': key });
    expect([status, body.headers?.['x-ebbgate-consumer']]).toEqual([200, 'acme']);
    expect(body.headers).not.toHaveProperty('x-api-key');
    const both = await ask(gateway, `/echo?api_key=${key}`, { 'x-api-key': key });
    expect([both.status, both.body.headers?.['x-ebbgate-consumer']]).toEqual([200, 'acme']);
    const two = await ask(gateway, `/echo?api_key=${key}x`, { 'x-api-key': key });
    expect([two.status, two.body.code]).toEqual([400, 'ambiguous_key']);
  }
});

test('no client says who it is: the header of the gateway is its own', async () => {
  const key = await addKey('acme');
  const spoofed = {
    'x-ebbgate-consumer': 'admin',
    x_ebbgate_consumer: 'admin',
    'X-Ebbgate_Consumer': 'admin',
  };
  const { body } = await ask(first(), '/echo', { ...spoofed, 'x-api-key': key });
  expect(body.headers?.['x-ebbgate-consumer']).toBe('acme');
  expect(JSON.stringify(body)).not.toContain('admin');
  const open = await ask(first(), '/echo', { ...spoofed, host: 'open' });
  expect([open.status, open.body.headers?.['host']]).toEqual([200, 'open']);
  expect(JSON.stringify(open.body)).not.toContain('admin');
  // Two headers of one name, and one that Connection names: the instance gets neither.
  const client = await openRawClient(Number(new URL(first().url).port));
  const head = (...lines: readonly string[]): string =>
    ['GET /echo HTTP/1.1', 'Host: shop', ...lines, '', ''].join('\r\n');
  client.send(head(`X-API-Key: ${key}`, `X-API-Key: ${key}y`));
  expect((await client.has(/HTTP\/1\.1 (\d{3})/))[1]).toBe('400');
  client.close();
  const other = await openRawClient(Number(new URL(first().url).port));
  other.send(head(`X-API-Key: ${key}`, 'Connection: x-ebbgate-consumer', 'X-Ebbgate-Consumer: admin'));
  await other.has(/"x-ebbgate-consumer":"acme"/);
  other.close();
});

test('a key in the query is nowhere in what goes on, and Bearer is a form of Authorization', async () => {
  const key = await addKey('acme');
  const encoded = encodeURIComponent(key).replace('k', '%6b');
  // Nothing else of the target is another than it was.
  expect((await ask(second(), `/a%2Fb//c?a=1&API_KEY=${encoded}&b=2`)).status).toBe(200);
  expect(instance.arrivals.at(-1)?.url).toBe(`/a%2Fb//c?a=1&API_KEY=${'x'.repeat(encoded.length)}&b=2`);
  await serve('bearer');
  await platform.patch('bearer', { auth: { type: 'api_key', header: 'Authorization', pass_key: true } });
  await platform.converged('bearer');
  const bearer = await ask(first(), '/echo', { host: 'bearer', authorization: `bearer ${key}` });
  expect([bearer.status, bearer.body.headers?.['authorization']]).toEqual([200, `bearer ${key}`]);
  const basic = await ask(first(), '/echo', { host: 'bearer', authorization: 'Basic YTpi' });
  expect([basic.status, basic.headers['www-authenticate']]).toEqual([401, 'Bearer realm="bearer"']);
});

test('where another service answers in place of one that asks, nobody comes in without a key', async () => {
  await serve('guarded');
  await change('POST', '', { name: 'guest', services: ['guarded', 'bearer'] });
  const key = await addKey('guest');
  await platform.patch('guarded', { auth: { type: 'api_key' }, breaker: { fallback: 'open' } });
  const opened = await platform.call('POST', '/v1/services/guarded/breaker', {
    state: 'open',
    reason: 'test',
  });
  expect(opened.status).toBe(200);
  await platform.converged('guarded');
  const got = async (headers: Readonly<Record<string, string>>): Promise<readonly unknown[]> => {
    const { status, body } = await ask(first(), '/echo', { host: 'guarded', ...headers });
    return [status, body.headers?.['x-ebbgate-consumer']];
  };
  await until('its breaker is open', async () => (await got({ 'x-api-key': key }))[0] === 200);
  expect(await got({})).toEqual([401, undefined]);
  expect(await got({ 'x-api-key': `${key}x`, 'x-ebbgate-consumer': 'guest' })).toEqual([401, undefined]);
  expect(await got({ 'x-api-key': key })).toEqual([200, 'guest']);
  // One that asks for keys as well knows whom the first has let in, though not by its own header; and whom it does not take.
  await platform.patch('guarded', { breaker: { fallback: 'bearer' } });
  await platform.converged('guarded');
  expect(await got({ 'x-api-key': key })).toEqual([200, 'guest']);
  await change('PATCH', '/guest', { services: ['guarded'] });
  expect((await got({ 'x-api-key': key }))[0]).toBe(503);
});

test('services, networks and time bound a consumer', async () => {
  await change('POST', '', { name: 'narrow', services: ['bear*', 'other'], networks: ['10.0.0.0/8'] });
  const key = await addKey('narrow');
  const codes = async (): Promise<readonly (string | number | undefined)[]> => {
    const [shop, bearer] = [
      await ask(first(), '/echo', { 'x-api-key': key }),
      await ask(first(), '/echo', { host: 'bearer', authorization: `Bearer ${key}` }),
    ];
    return [shop.status, shop.body.code, bearer.status];
  };
  expect(await codes()).toEqual([403, 'forbidden', 403]);
  await change('PATCH', '/narrow', { networks: ['10.0.0.0/8', '127.0.0.0/8'] });
  expect(await codes()).toEqual([403, 'forbidden', 200]);
  await ebbgate('consumer', 'set', 'narrow', '--services', 'shop', '--networks', 'any', '--wait');
  expect(await codes()).toEqual([200, undefined, 403]);
  const brief = await addKey('narrow', { expires: '2s' });
  const status = async (): Promise<number> => (await ask(first(), '/echo', { 'x-api-key': brief })).status;
  expect(await status()).toBe(200);
  await until('the key has expired', async () => (await status()) === 401);
  expect((await keysOf('narrow')).map(({ expired }) => expired)).toEqual([false, true]);
});

test('keys are changed without a refused request, and a revoked one is refused everywhere within a second', async () => {
  await change('POST', '', { name: 'rota' });
  const old = await addKey('rota');
  const [oldKey] = await keysOf('rota');
  const refused = new Map(platform.gateways.map(({ id }) => [id, [] as { key: string; at: number }[]]));
  let key = old;
  let stopped = false;
  let sent = 0;
  const stream = async (gateway: ControlledGateway, mine: () => string): Promise<void> => {
    while (!stopped) {
      const presented = mine();
      const { status } = await ask(gateway, '/', { 'x-api-key': presented });
      sent += 1;
      if (status !== 200) refused.get(gateway.id)?.push({ key: presented, at: performance.now() });
    }
  };
  const rotating = platform.gateways.flatMap((one) => [stream(one, () => key), stream(one, () => key)]);
  const fresh = await addKey('rota');
  key = fresh;
  await until('the new key is in use', () => sent > 400);
  expect([...refused.values()].flat()).toEqual([]);
  const late = platform.gateways.map((one) => stream(one, () => old));
  await until('somebody has the old one still', () => sent > 800);
  const asked = performance.now();
  const { status } = await platform.call('DELETE', `/v1/consumers/rota/keys/${oldKey?.id ?? ''}`);
  expect(status).toBe(200);
  await until('each gateway refuses it', () => [...refused.values()].every((list) => list.length > 20));
  const acked = await platform.call<{ readonly converged: boolean }>('GET', '/v1/services/@keys/convergence');
  expect(acked.body.converged).toBe(true);
  stopped = true;
  await Promise.all([...rotating, ...late]);
  for (const list of refused.values()) {
    expect(list.every(({ key: one }) => one === old)).toBe(true);
    expect((list[0]?.at ?? Infinity) - asked).toBeLessThan(MOST_MS);
  }
});

test('once the wait of a revocation has ended no gateway takes the key any more', async () => {
  await change('POST', '', { name: 'gone' });
  const statuses = (key: string): Promise<readonly number[]> =>
    Promise.all(platform.gateways.map(async (one) => (await ask(one, '/', { 'x-api-key': key })).status));
  for (let round = 0; round < (LONG ? 20 : 3); round++) {
    const key = await addKey('gone');
    expect(await statuses(key)).toEqual([200, 200]);
    const [{ id } = { id: '' }] = await keysOf('gone');
    if (round > 0) await change('DELETE', `/gone/keys/${id}`);
    else
      expect(await ebbgate('consumer', 'key', 'revoke', 'gone', id, '--wait')).toContain(
        '@keys: 2 gateways follow it',
      );
    expect(await statuses(key)).toEqual([401, 401]);
  }
  const key = await addKey('gone');
  await change('DELETE', '/gone');
  expect(await statuses(key)).toEqual([401, 401]);
  expect((await platform.call('GET', '/v1/consumers/gone')).status).toBe(404);
});

test.runIf(LONG)('a key that is nearly right is refused no sooner and no later than any other', async () => {
  const key = await addKey('acme');
  const kinds = [`${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`, `ebk_${'x'.repeat(43)}`];
  const took = kinds.map((): number[] => []);
  // In turn, so that what disturbs one disturbs the other.
  for (let n = 0; n < 6_000; n++) {
    const began = performance.now();
    const { status } = await ask(first(), '/', { 'x-api-key': kinds[n % 2] ?? '' });
    took[n % 2]?.push(performance.now() - began);
    expect(status).toBe(401);
  }
  const [near = 0, other = 0] = took.map((times) => times.sort((a, b) => a - b)[times.length / 2] ?? 0);
  expect(Math.abs(near - other) / other).toBeLessThan(0.05);
});

test('a gateway that starts while Redis is away knows the keys, and none that was revoked', async () => {
  const [kept, revoked] = [await addKey('acme'), await addKey('acme')];
  const id = (await keysOf('acme')).at(-1)?.id ?? '';
  await change('DELETE', `/acme/keys/${id}`);
  await platform.redis.kill();
  await first().stop();
  await first().start();
  await until('it serves', async () => (await ask(first(), '/', { 'x-api-key': kept })).status === 200);
  expect((await ask(first(), '/', { 'x-api-key': revoked })).status).toBe(401);
  await platform.redis.start();
  await platform.ready();
});

test('over HTTP/2 as well, no key is in a log, an answer, the audit, or the admin page', async () => {
  await platform.converged();
  const place = await gatewayPlace('gateway-h2', platform.dir, platform.ports.redis);
  const more = { listen: [`127.0.0.1:${String(place.port)},http2`], log_fields: LOGGED };
  const gateway: LocalGateway = await startGateway(place, more);
  const key = await addKey('acme');
  const session = connect(`http://127.0.0.1:${String(place.port)}`);
  const heard = await new Promise<string>((resolve, reject) => {
    const stream = session.request({ ':path': `/echo?api_key=${key}` });
    let text = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => (text += chunk));
    stream.on('end', () => {
      resolve(text);
    });
    stream.on('error', reject);
  });
  session.close();
  expect(heard).toContain('"x-ebbgate-consumer":"acme"');
  // nginx writes the line of a request whose instance fails into its own log.
  await instance.die();
  for (const one of platform.gateways) {
    const failed = await ask(one, `/echo?api_key=${key}`);
    expect([502, 503]).toContain(failed.status);
  }
  await until('it is written', () => /connect\(\) failed.*api_key=xxxx/.test(logsIn(platform.dir)));
  const admin = await request(`${first().adminUrl}/sets`);
  const pages = [
    heard,
    await admin.body.text(),
    JSON.stringify((await platform.call('GET', '/v1/audit?limit=500')).body),
    JSON.stringify((await platform.call('GET', '/v1/consumers')).body),
    await ebbgate('consumer', 'list', '-o', 'json'),
    await ebbgate('consumer', 'get', 'acme', '-o', 'json'),
  ];
  await gateway.stop();
  await until('the access log is written', () =>
    /"consumer":"acme","key_id":"[0-9a-f]{12}"/.test(logsIn(platform.dir)),
  );
  expect(given.length).toBeGreaterThan(8);
  const all = [...pages, logsIn(platform.dir)].join('\n');
  for (const one of given) expect(all.includes(one)).toBe(false);
  // Nor the hash of one.
  expect(/[0-9a-f]{64}/.exec(all)?.[0]).toBeUndefined();
});

/** Every log below a directory. */
function logsIn(dir: string): string {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.log') && statSync(join(dir, name)).isFile())
    .map((name) => readFileSync(join(dir, name), 'utf8'))
    .join('\n');
}
