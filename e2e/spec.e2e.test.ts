import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ALGORITHMS, type OperationResource, type ServiceSet } from '../control-plane/src/testkit.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { readSet } from './harness/publish.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { sendMany, startTraffic } from './harness/traffic.js';
import { until } from './harness/until.js';

let platform: ControlledPlatform;
let a: RegisteredInstance;
let b: RegisteredInstance;

beforeAll(async () => {
  platform = await ControlledPlatform.start();
  [a, b] = await Promise.all([
    platform.startInstance({ zone: 'z1' }),
    platform.startInstance({ zone: 'z2' }),
  ]);
  await platform.route();
});
afterAll(() => platform[Symbol.asyncDispose]());

/** The set of `shop` as every gateway has it in force; they agree. */
async function inForce(): Promise<ServiceSet> {
  await platform.converged();
  const sets = await Promise.all(
    platform.gateways.map(async ({ adminUrl }) => {
      const answer = await request(`${adminUrl}/sets`);
      const { sets: all, rejected } = (await answer.body.json()) as {
        readonly sets: readonly { readonly service: string; readonly document: object }[];
        readonly rejected: readonly unknown[];
      };
      expect(rejected).toEqual([]);
      const found = all.find((one) => one.service === 'shop');
      return found && readSet(JSON.stringify(found.document));
    }),
  );
  const [first] = sets;
  for (const other of sets) expect(other).toEqual(first);
  if (!first) throw new Error('no gateway has the set');
  return first;
}

/** Runs the CLI and wants it to succeed. */
async function ebbgate(...args: readonly string[]): Promise<string> {
  const run = await platform.cli(...args);
  expect(run, `ebbgate ${args.join(' ')}`).toMatchObject({ code: 0, stderr: '' });
  return run.stdout;
}

test('a spec is decided, seen in force at every gateway, and taken back, under traffic and without a reload', async () => {
  const before = platform.nginxPids();
  const traffic = platform.gateways.map(({ url }) => startTraffic({ url, rate: 50 }));
  const untouched = await inForce();
  expect(untouched).not.toHaveProperty('upstream');
  expect(untouched.peers.map((peer) => peer.zone).toSorted()).toEqual(['z1', 'z2']);

  const dry = await ebbgate('set', 'service', 'shop', 'balancer.algorithm=least_connections', '--dry-run');
  expect(dry).toBe(
    'shop  balancer.algorithm: weighted_round_robin → least_connections\ndry run: nothing was written\n',
  );
  expect(await inForce()).toEqual(untouched);

  const words = [
    ...['balancer.prefer_zone=true', 'retry.on=gateway_error', 'retry.tries=3', 'timeouts.total_ms=15s'],
    ...['health.max_fails=5', 'health.fail_statuses=500,503', 'health.check.path=/', 'min_available=2'],
  ];
  const said = await ebbgate('set', 'service', 'shop', ...words, '--wait', '--reason', 'try it');
  expect(said).toMatch(/shop {2}retry.on: error → gateway_error\n/);
  expect(said).toMatch(/shop: 2 gateways follow it\n$/);
  const decided = await inForce();
  expect(decided).toMatchObject({
    balancer: { algorithm: 'weighted_round_robin', prefer_zone: true },
    timeouts: { connect_ms: 500, total_ms: 15_000 },
    retry: { tries: 3, on: 'gateway_error' },
    health: { max_fails: 5, fail_statuses: [500, 503], check: { type: 'http' } },
  });
  // What equals its default is left out, and what was not named is as it was.
  expect(decided.retry).toEqual({ tries: 3, on: 'gateway_error' });
  expect(decided.health.check).toEqual({ type: 'http' });
  expect(decided.peers).toEqual(untouched.peers);
  const shown = await ebbgate('describe', 'service', 'shop');
  expect(shown).toMatch(/Decided: +balancer.prefer_zone=true\n +timeouts.total_ms=15s\n +retry.tries=3\n/);
  expect(shown).toMatch(/ +health: fail_timeout_ms=10s .*check.path=\/ /);
  expect((await platform.service()).spec.health.check).toMatchObject({ interval_ms: 5_000, fall: 3 });

  const back = ['balancer=', 'retry=', 'timeouts.total_ms=', 'health=', 'min_available='];
  await ebbgate('set', 'service', 'shop', ...back, '--wait');
  expect(await inForce()).toEqual(untouched);
  await until('there was traffic', () => traffic.every((stream) => stream.total() > 100));
  for (const stream of traffic) {
    await stream.stop();
    expect(stream.failed).toEqual([]);
  }
  expect(platform.nginxPids()).toBe(before);
});

test('every algorithm is switched to under traffic: no request fails, and each uses both instances', async () => {
  const traffic = platform.gateways.map(({ url }) => startTraffic({ url, rate: 50 }));
  for (const algorithm of ALGORITHMS) {
    const hashed = algorithm === 'consistent_hash' ? { hash_on: { source: 'query', name: 'key' } } : {};
    await platform.patch('shop', { balancer: { algorithm, ...hashed } });
    expect((await inForce()).balancer.algorithm).toBe(algorithm);
    if (algorithm === 'ip_hash') continue; // there is one client here
    const asked = await Promise.all(
      Array.from({ length: 60 }, (_, key) => request(`${platform.gateways[0]!.url}/?key=${String(key)}`)),
    );
    const bodies = await Promise.all(
      asked.map(async ({ body }) => (await body.json()) as { readonly instance: string }),
    );
    expect(new Set(bodies.map(({ instance }) => instance)).size, algorithm).toBe(2);
  }
  await ebbgate('set', 'service', 'shop', 'balancer=', '--wait');
  await until('there was traffic', () => traffic.every((stream) => stream.total() > 100));
  for (const stream of traffic) {
    await stream.stop();
    expect(stream.failed).toEqual([]);
  }
});

test.each<[readonly string[], number, RegExp]>([
  [['retry.tries=9'], 2, /body.retry.tries must be at most 5/],
  [['retry.trees=3'], 2, /retry.trees is not known; known: retry.tries/],
  [['balancer.algorithm=consistent_hash'], 2, /body.balancer.hash_on is needed by consistent_hash/],
  [['balancer.hash_on.source=cookie'], 2, /body.balancer.hash_on.name is needed/],
  [['health.check.interval_ms=1s'], 2, /body.health.check.timeout_ms must be below .* \(1000\)/],
  [['balancer.sticky.cookie=a b'], 2, /body.balancer.sticky.cookie must be a token/],
  [['upstream.tls=inside'], 2, /body.upstream.tls goes with upstream.scheme https or grpcs/],
])('%j is refused with the field and what to do, and changes nothing', async (words, code, message) => {
  const before = await platform.service();
  const run = await platform.cli('set', 'service', 'shop', ...words);
  expect(run.code).toBe(code);
  expect(run.stderr).toMatch(message);
  expect((await platform.service()).etag).toBe(before.etag);
});

test('a service that nobody knows is not made by a typing error', async () => {
  expect(await platform.cli('set', 'service', 'shpo', 'retry.tries=3')).toMatchObject({ code: 1 });
  expect((await platform.cli('describe', 'service', 'shpo')).code).toBe(1);
});

test('an instance is a backup because it registers so, or because somebody said so', async () => {
  const spare = await platform.startInstance({ backup: true, zone: 'z1' });
  const role = async (id: string): Promise<unknown> =>
    (await inForce()).peers.find((peer) => peer.id === id)?.backup ?? false;
  expect(await role(spare.id)).toBe(true);
  const sent = await sendMany({ url: platform.gateways[0]!.url, count: 100 });
  expect([sent.failed, sent.instances.has(spare.id), sent.instances.size]).toEqual([[], false, 2]);
  expect(await platform.instance(spare.id)).toMatchObject({
    registered_backup: true,
    effective: { state: 'up', backup: true },
  });

  await ebbgate('set', 'instance', '-s', 'shop', spare.id, 'backup=false', '--wait', '--reason', 'needed');
  expect(await role(spare.id)).toBe(false);
  await ebbgate('set', 'instance', '-s', 'shop', spare.id, 'backup=', '--wait');
  expect(await role(spare.id)).toBe(true);
  const other = a.id;
  await ebbgate('set', 'instance', '-s', 'shop', other, 'backup=true', '--wait', '--expires', '1h');
  expect(await role(other)).toBe(true);
  expect(await ebbgate('get', 'intents', 'shop')).toMatch(/shop +\S+ +backup +true +ann/);
  await ebbgate('set', 'instance', '-s', 'shop', other, 'backup=', '--wait');
  expect(await role(other)).toBe(false);
  await platform.stopInstance(spare);
});

test('a drain that keeps sticky clients is proven only after it has stopped keeping them', async () => {
  const instance = b;
  const drain = ['drain', '-s', 'shop', instance.id, '--timeout', '60s'];
  const nobody = await platform.cli(...drain, '--keep-sticky', '5s');
  expect(nobody.code).toBe(2);
  expect(nobody.stderr).toMatch(/shop has no balancer.sticky/);
  await ebbgate('set', 'service', 'shop', 'balancer.sticky.cookie=shop_at', '--wait');
  const short = await platform.cli(...drain, '--keep-sticky', '2m');
  expect(short.code).toBe(2);
  expect(short.stderr).toMatch(/must be shorter than timeout \(1m\)/);

  const said = await ebbgate(...drain, '--keep-sticky', '6s');
  const id = /operation (\S+)/.exec(said)?.[1] ?? '';
  const kept = await inForce();
  expect(kept.peers.find((peer) => peer.id === instance.id)).toMatchObject({
    state: 'draining',
    weight: 0,
    keep_sticky: true,
  });
  // Nothing is open anywhere and every gateway follows: still nothing may be claimed.
  const waiting = await platform.operation(id);
  const shown = await platform.instance(instance.id);
  const end = shown.intent?.keep_sticky_until ?? '';
  expect(waiting).toMatchObject({ state: 'running', waiting_for: [`sticky clients are kept until ${end}`] });
  expect(shown).toMatchObject({ effective: { keep_sticky: true }, drain: { drained: false } });

  const done = await until(
    'the drain is proven',
    async () => {
      const operation: OperationResource = await platform.operation(id);
      // The proof is there before it is written down.
      if (operation.ended_at === null) return undefined;
      return operation;
    },
    { timeoutMs: 30_000 },
  );
  expect(done).toMatchObject({ result: 'drained', waiting_for: [] });
  expect(Date.parse(done.ended_at ?? '')).toBeGreaterThanOrEqual(Date.parse(end));
  const after = (await inForce()).peers.find((peer) => peer.id === instance.id);
  expect(after).toMatchObject({ state: 'draining', weight: 0 });
  expect(after).not.toHaveProperty('keep_sticky');
  await ebbgate('undrain', '-s', 'shop', instance.id, '--wait');
  await ebbgate('set', 'service', 'shop', 'balancer.sticky=', '--wait');
});

test('a person sees how an instance fares at every gateway', async () => {
  const { id } = a;
  expect((await platform.instance(id)).health).toEqual([]);
  expect(await ebbgate('describe', 'instance', '-s', 'shop', id)).toMatch(
    /Health: +gateway-1 healthy\n +gateway-2 healthy\n/,
  );
  expect((await platform.service()).panic).toEqual([]);
});

test('a dry run of limits says what those of now did, or would have done', async () => {
  const limits = (mode: string): string =>
    `limits=[{"name":"tried","rate":"3/h","burst":3,"mode":"${mode}"}]`;
  await ebbgate('set', 'service', 'shop', limits('log'), '--wait');
  const asked = await Promise.all(Array.from({ length: 20 }, () => request(platform.gateways[0]!.url)));
  await Promise.all(asked.map(({ body }) => body.dump()));
  expect(asked.every(({ statusCode }) => statusCode === 200)).toBe(true);
  await until('the gateway has said what it counted', async () => {
    const { body } = await platform.call<{
      readonly items: readonly { readonly recent: { readonly refused: number } | null }[];
    }>('GET', '/v1/services/shop/limits');
    return body.items[0]?.recent?.refused === 17;
  });
  expect(await ebbgate('set', 'service', 'shop', limits('enforce'), '--dry-run')).toMatch(
    /limit tried as it is would have refused 17 of 20 requests in the last \d+ s, at/,
  );
  expect(await ebbgate('describe', 'service', 'shop')).toMatch(/tried 3\/h: would have refused 17 of 20 in/);
  await ebbgate('set', 'service', 'shop', 'limits=', '--wait');
});
