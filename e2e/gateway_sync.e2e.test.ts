import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startInstance, type Instance } from './harness/instance.js';
import { peer, sha1 } from './harness/publish.js';
import { startTraffic } from './harness/traffic.js';
import { until, untilValue } from './harness/until.js';
import { hostOf, Workbench } from './harness/workbench.js';

let one: Instance;
let two: Instance;

beforeAll(async () => {
  one = await startInstance({ service: 'shop' });
  two = await startInstance({ service: 'shop', version: 'v2' });
});
afterAll(() => Promise.all([one.stop(), two.stop()]));

/** Which instance answers now. */
async function answering(bench: Workbench): Promise<string> {
  const answer = await bench.ask('shop');
  return answer.status === 200
    ? (JSON.parse(answer.text) as { instance: string }).instance
    : String(answer.status);
}

describe('a set that cannot be trusted', () => {
  const payload = (text: object): string => JSON.stringify({ v: 1, service: 'shop', ...text });
  const BAD: readonly [string, string, { payload: string; hash?: string }][] = [
    ['a wrong hash', 'hash_mismatch', { payload: '{}', hash: sha1('something else') }],
    ['garbage', 'bad_json', { payload: '\u0000\u0001 not json' }],
    ['half a document', 'bad_json', { payload: '{"v":1,"service":"shop","peers":[' }],
    ['a later contract', 'unknown_version', { payload: JSON.stringify({ v: 3, service: 'shop' }) }],
    [
      "another service's set",
      'bad_document',
      { payload: JSON.stringify({ v: 1, service: 'other', removed: true }) },
    ],
    ['no peers', 'bad_document', { payload: payload({ balancer: { algorithm: 'weighted_round_robin' } }) }],
    [
      'a peer without a port',
      'bad_document',
      { payload: payload({ peers: [{ id: 'a', host: '127.0.0.1' }] }) },
    ],
  ];

  test('is kept out, named with its code, and the last good one serves', async () => {
    await using bench = await Workbench.start();
    await bench.serve('shop', [peer(one)]);
    const traffic = startTraffic({ url: bench.gateway.url, host: hostOf('shop'), rate: 100 });
    for (const [what, code, written] of BAD) {
      const position = await bench.publishing.write('shop', written);
      const beat = await bench.heard(what, ({ rejected }) =>
        rejected.some(({ generation }) => generation === position.generation),
      );
      expect(beat.rejected, what).toEqual([{ service: 'shop', generation: position.generation, code }]);
      await bench.acked(position);
      expect(await answering(bench), what).toBe(one.id);
    }
    // A good one heals it, and other services were never blocked.
    await bench.serve('other', [peer(two)]);
    const mended = await bench.serve('shop', [peer(two)]);
    await bench.heard(
      'no rejections',
      (beat) => beat.rejected.length === 0 && beat.applied!.generation >= mended.generation,
    );
    expect(await answering(bench)).toBe(two.id);
    await traffic.stop();
    expect(traffic.failed).toEqual([]);
  });

  test('whatever its name, is reported in a heartbeat that is UTF-8', async () => {
    await using bench = await Workbench.start();
    const name = Buffer.concat([Buffer.from('no name '), Buffer.from([0xff, 0xc3])]);
    await bench.publishing.redis.zadd('{ebb}:index', 1, name);
    bench.publishing.generation = 1;
    await bench.serve('shop', [peer(one)]);
    const beat = await bench.heard('it is reported', ({ rejected }) => rejected.length > 0);
    expect(beat.rejected).toEqual([{ service: 'no name %FF%C3', generation: 1, code: 'bad_document' }]);
    const bytes = await bench.publishing.redis.getBuffer('{ebb}:gw:gw-1');
    expect(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes)).not.toThrow();
    expect(await answering(bench)).toBe(one.id);
  });
});

describe('a Redis that goes back', () => {
  test('is not followed down; a new epoch is', async () => {
    await using bench = await Workbench.start();
    await bench.serve('shop', [peer(one)]);
    for (let i = 0; i < 5; i++) await bench.serve('shop', [peer(one, 100 + i)]);
    const { epoch, generation } = bench.publishing;
    // Wiped, and written again by somebody who knows nothing of before.
    await bench.redis.stop();
    await bench.startRedis();
    bench.publishing.generation = 0;
    await until('redis answers', () => bench.publishing.redis.ping());
    const low = await bench.publishing.set('shop', [peer(two)]);
    const seq = (await bench.heard('a beat', () => true)).seq;
    const beat = await bench.heard('beats after it', (later) => later.seq > seq + 3);
    expect(low.generation).toBeLessThan(generation);
    expect(beat.applied).toEqual({ epoch, generation });
    expect(await answering(bench)).toBe(one.id);
    // The recovery of the controller: another epoch, everything again.
    bench.publishing.epoch += 1;
    await bench.publishing.routes([{ host: hostOf('shop'), path: '/', service: 'shop' }]);
    const position = await bench.publishing.set('shop', [peer(two)]);
    await bench.acked(position);
    expect(await answering(bench)).toBe(two.id);
    // An epoch below is not followed even with a higher generation.
    bench.publishing.epoch -= 1;
    bench.publishing.generation += 100;
    await bench.publishing.set('shop', [peer(one)]);
    const now = (await bench.heard('a beat', () => true)).seq;
    const after = await bench.heard('beats after it', (later) => later.seq > now + 3);
    expect(after.applied).toEqual(position);
    expect(await answering(bench)).toBe(two.id);
  });

  test('and one that was flushed takes nothing away', async () => {
    await using bench = await Workbench.start();
    await bench.serve('shop', [peer(one)]);
    const traffic = startTraffic({ url: bench.gateway.url, host: hostOf('shop'), rate: 100 });
    await bench.publishing.redis.flushall();
    const beat = await bench.heard('a beat', () => true);
    await bench.heard('beats after it', (later) => later.seq > beat.seq + 3);
    await traffic.stop();
    expect(traffic.failed).toEqual([]);
    expect(traffic.total()).toBeGreaterThan(50);
  });
});

describe('starting', () => {
  test('with Redis away, it serves what it last acked, from its disk', async () => {
    await using bench = await Workbench.start();
    await bench.serve('shop', [peer(one), peer(two, 0, { state: 'draining' })]);
    const boot = (await bench.heard('a beat', () => true)).boot;
    await bench.gateway.stop();
    await bench.redis.stop();
    await bench.start();
    for (let i = 0; i < 20; i++) expect(await answering(bench)).toBe(one.id);
    expect((await bench.admin('/readyz')).status).toBe(200);
    // Redis comes back empty, then the controller publishes under a new epoch.
    await bench.startRedis();
    bench.publishing.epoch += 1;
    await until('redis answers', () => bench.publishing.redis.ping());
    await bench.publishing.routes([{ host: hostOf('shop'), path: '/', service: 'shop' }]);
    await bench.serve('shop', [peer(two)]);
    expect(await answering(bench)).toBe(two.id);
    expect((await bench.heard('a beat', () => true)).boot).not.toBe(boot);
  });

  test('with Redis there, the first request already finds the newest set', async () => {
    await using bench = await Workbench.start();
    await bench.serve('shop', [peer(one)]);
    await bench.gateway.stop();
    await bench.publish('shop', [peer(two)]);
    await bench.start();
    expect(await answering(bench)).toBe(two.id);
  });

  test('with an empty disk and Redis away, it answers 503, is not ready, and heals by itself', async () => {
    await using bench = await Workbench.prepare();
    await bench.redis.stop();
    rmSync(join(bench.place.dir, 'state'), { recursive: true, force: true });
    await bench.start();
    const answer = await bench.ask('shop');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'not_ready', status: 503 });
    const notReady = await bench.admin('/readyz');
    expect([notReady.status, JSON.parse(notReady.text)]).toMatchObject([
      503,
      { ready: false, applied: null },
    ]);
    expect((await bench.admin('/healthz')).status).toBe(200);
    await bench.startRedis();
    await until('redis answers', () => bench.publishing.redis.ping());
    await bench.serve('shop', [peer(one)]);
    expect(await answering(bench)).toBe(one.id);
    await untilValue(
      'ready',
      () => bench.admin('/readyz'),
      ({ status }) => status === 200,
    );
  });

  test('with an empty disk and an epoch that has not brought its routes yet, it is not ready', async () => {
    await using bench = await Workbench.prepare();
    const { publishing } = bench;
    await publishing.set('shop', [peer(one)]);
    await publishing.redis.hset('{ebb}:meta', 'sealed', '0');
    await bench.start();
    await until('it has the set', async () => (await bench.admin('/sets')).text.includes('"shop"'));
    expect(await bench.admin('/readyz')).toMatchObject({ status: 503 });
    await publishing.routes([{ host: '*', path: '/', service: 'shop' }]);
    await until('it is ready', async () => (await bench.admin('/readyz')).status === 200);
    expect(await answering(bench)).toBe(one.id);
  });

  test('sealed without any route it is ready: there are none', async () => {
    await using bench = await Workbench.prepare();
    await bench.publishing.set('shop', [peer(one)]);
    await bench.start();
    await until('it is ready', async () => (await bench.admin('/readyz')).status === 200);
    expect((await bench.ask('shop')).status).toBe(503);
  });

  test('a damaged file on its disk is left out, the others serve', async () => {
    await using bench = await Workbench.start();
    await bench.serve('shop', [peer(one)]);
    await bench.serve('other', [peer(two)]);
    await bench.gateway.stop();
    await bench.redis.stop();
    const sets = join(bench.place.dir, 'state', 'sets');
    expect(readdirSync(sets)).toContain('other.set');
    writeFileSync(join(sets, 'other.set'), 'damaged');
    await bench.start();
    expect(await answering(bench)).toBe(one.id);
    expect((await bench.ask('other')).status).toBe(503);
  });
});

describe('a killed worker', () => {
  test('takes only its own requests with it; its count goes', async () => {
    await using bench = await Workbench.start();
    await bench.serve('shop', [peer(one)]);
    const open = Array.from({ length: 8 }, () =>
      bench.ask('shop', '/?delay=5').then(
        ({ status }) => status,
        () => 0,
      ),
    );
    await bench.heard('eight in flight', (beat) => beat.in_flight[`shop|${one.id}`] === 8);
    const [victim] = bench.gateway.workers();
    process.kill(victim!, 'SIGKILL');
    await until(
      'a new worker',
      () => bench.gateway.workers().length === 2 && !bench.gateway.workers().includes(victim!),
    );
    expect(await answering(bench)).toBe(one.id);
    const statuses = await Promise.all(open);
    const survived = statuses.filter((status) => status === 200).length;
    expect(survived).toBe(8 - statuses.filter((status) => status === 0).length);
    const beat = await bench.heard('none in flight', ({ in_flight }) => Object.keys(in_flight).length === 0);
    expect(beat.uncounted).toBe(0);
  });
});
