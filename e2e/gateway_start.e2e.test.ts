import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startInstance, type Instance } from './harness/instance.js';
import { peer } from './harness/publish.js';
import { until } from './harness/until.js';
import { Workbench } from './harness/workbench.js';

/* What a gateway finds at its start: the mark of one that has left, the keys of its cookies, the names it answers under. */

let one: Instance;
let two: Instance;
beforeAll(async () => {
  one = await startInstance({ service: 'shop' });
  two = await startInstance({ service: 'shop', version: 'v2' });
});
afterAll(() => Promise.all([one.stop(), two.stop()]));

async function answering(bench: Workbench): Promise<string> {
  const { status, text } = await bench.ask('shop');
  return status === 200 ? (JSON.parse(text) as { instance: string }).instance : String(status);
}

test.each(['always', 'unless-left'] as const)(
  'one that has left and finds no Redis, with --start-from-disk %s',
  async (start_from_disk) => {
    await using bench = await Workbench.start({ start_from_disk });
    const mark = join(bench.place.dir, 'state/left');
    await bench.serve('shop', [peer(one)]);
    await bench.gateway.stop();
    writeFileSync(mark, '');
    await bench.redis.stop();
    await bench.start();
    if (start_from_disk === 'always') {
      expect(await answering(bench)).toBe(one.id);
      return;
    }
    // Reloads and respawned workers change nothing of it.
    await bench.gateway.reload();
    const { status, text } = await bench.ask('shop');
    expect([status, JSON.parse(text)]).toMatchObject([503, { code: 'left' }]);
    const ready = await bench.admin('/readyz');
    expect([ready.status, JSON.parse(ready.text)]).toMatchObject([503, { ready: false, left: true }]);
    // nginx/leave.sh --join takes the mark away once the control API knows of it.
    rmSync(mark);
    await until('it serves its disk', async () => (await answering(bench)) === one.id);
    expect((await bench.admin('/readyz')).status).toBe(200);
    // Left again; with Redis there it is known at once, and takes the mark away itself.
    await bench.gateway.stop();
    writeFileSync(mark, '');
    await bench.startRedis();
    await until('redis answers', () => bench.publishing.redis.ping());
    await bench.start();
    await until('it serves', async () => (await answering(bench)) === one.id);
    expect(existsSync(mark)).toBe(false);
  },
);

const KEYS = ['first-key-of-this-gateway-0123456789abcdef', 'second-key-of-this-gateway-0123456789abcdef'];

test('the cookies of sticky sessions are made by the first key, and those of older keys are understood', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-keys-'));
  onTestFinished(() => {
    rmSync(dir, { recursive: true });
  });
  const file = join(dir, 'sticky.keys');
  const keys = (...lines: readonly string[]): void => {
    writeFileSync(file, `# oldest last\n${lines.join('\n')}\n`);
    chmodSync(file, 0o600);
  };
  keys(KEYS[0]!);
  await using bench = await Workbench.start({ sticky_key_file: file });
  const balancer = { algorithm: 'random', sticky: { cookie: 'Stay-At', max_age_s: 0 } } as const;
  await bench.serve('shop', [peer(one), peer(two)], { balancer });
  const cookieOf = async (cookie?: string): Promise<{ cookie: string | null; instance: string }> => {
    const { headers, text } = await bench.ask(
      'shop',
      '/',
      cookie === undefined ? {} : { headers: { cookie } },
    );
    const [set] = [headers['set-cookie'] ?? []].flat();
    return {
      cookie: set === undefined ? null : set.split(';')[0]!,
      instance: (JSON.parse(text) as { instance: string }).instance,
    };
  };
  const given = await cookieOf();
  expect(given.cookie).toMatch(/^Stay-At=[0-9a-f]{16}$/);
  for (let n = 0; n < 10; n += 1)
    expect(await cookieOf(given.cookie!)).toEqual({ cookie: null, instance: given.instance });
  // What anybody could compute names nobody: the answer gives another cookie.
  keys(KEYS[1]!, KEYS[0]!);
  await bench.gateway.reload();
  // A worker of before may still answer for a moment.
  await until('the new key is used', async () => (await cookieOf(given.cookie!)).cookie !== null);
  for (let n = 0; n < 10; n += 1) {
    const moved = await cookieOf(given.cookie!);
    expect(moved.instance).toBe(given.instance);
    expect(moved.cookie).not.toBeNull();
    expect(moved.cookie).not.toBe(given.cookie);
    expect(await cookieOf(moved.cookie!)).toEqual({ cookie: null, instance: given.instance });
  }
  keys(KEYS[1]!);
  await bench.gateway.reload();
  const unkeyed = 'Stay-At=0123456789abcdef';
  await until('the old key is not understood', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => cookieOf(given.cookie!)));
    return new Set(answers.map(({ instance }) => instance)).size === 2;
  });
  expect((await cookieOf(unkeyed)).cookie).not.toBeNull();
  // A file that is no good is refused at a reload, and the keys of before go on.
  keys('short');
  await expect(bench.gateway.reload()).rejects.toThrow(/took no new conf/);
  expect((await cookieOf()).cookie).toMatch(/^Stay-At=[0-9a-f]{16}$/);
});

/** A page of the admin listener, asked for under another name. */
function adminUnder(bench: Workbench, host: string | null, path = '/metrics'): Promise<number> {
  const { hostname, port } = new URL(bench.gateway.adminUrl);
  return new Promise((resolve, reject) => {
    const asked = plainRequest({ host: hostname, port, path, setHost: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asked.on('error', reject);
    if (host !== null) asked.setHeader('Host', host);
    asked.end();
  });
}

test('the admin listener answers under addresses and the names that it was given, and under no other', async () => {
  await using bench = await Workbench.start({ admin_hosts: ['Metrics.Internal'] });
  const good = [
    '127.0.0.1',
    '127.0.0.1:8180',
    '10.0.0.9',
    '[::1]',
    '[fd00::7]:8180',
    'localhost',
    'LOCALHOST:1',
  ];
  for (const host of [...good, 'metrics.internal', 'metrics.internal:8180', bench.place.id])
    expect([host, await adminUnder(bench, host)]).toEqual([host, 200]);
  for (const path of ['/metrics', '/sets', '/readyz', '/healthz', '/'])
    for (const host of [
      'rebound.example',
      '127.0.0.1.example',
      'localhost.example',
      'internal',
      '10.evil',
      '1e100.net',
    ])
      expect([host, path, await adminUnder(bench, host, path)]).toEqual([host, path, 403]);
});
