import { randomBytes } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { request } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { createApi, type Api } from '../api/server.js';
import { productRoot, productVersion, readTemplates } from '../cli/product.js';
import { startDemoInstance, type DemoInstance } from '../local/demo_instance.js';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { ask, launchRedis } from '../local/redis.js';
import { renderConf } from '../render/render.js';
import { createPublisher } from '../redis/publisher.js';
import { loadScripts } from '../redis/scripts.js';
import { buildEncoded, buildPeer, buildRoutes, buildSet } from './builders.js';
import { createRecordingLog } from './log.js';
import { MemoryPlane } from './memory_plane.js';

/*
 * What is process 1 in the gateway's container, with a real nginx and the real API, but without a container: it stops
 * nginx gracefully, and says that the gateway has left when the last worker is gone, and only then.
 */

const root = productRoot();
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-container-'));
const conf = join(dir, 'nginx.conf');
const TOKEN = 's3cret';
const log = createRecordingLog();
let plane: MemoryPlane;
let api: Api;
let redis: LocalProcess;
let instance: DemoInstance;
let port: number;
let adminPort: number;
let container: Container | undefined;

interface Container {
  readonly child: ChildProcess;
  readonly exited: Promise<number>;
  readonly said: () => string;
}

const nginxPid = (): number => Number(readFileSync(join(dir, 'nginx.pid'), 'utf8'));
const left = (): string[] => plane.mutated.map(({ mutation, context }) => `${mutation.kind} ${context.by}`);
const until = <T>(read: () => T) => expect.poll(read, { timeout: 20_000, interval: 20 });

/** Starts the entrypoint as the image does, and waits until nginx serves unless `options` say otherwise. */
async function start(env: NodeJS.ProcessEnv = {}, wait = true): Promise<Container> {
  const child = spawn('sh', [join(root, 'nginx/container/gateway.sh')], {
    env: {
      PATH: `${join(dir, 'bin')}${delimiter}${process.env.PATH ?? ''}`,
      EBBGATE_CONF: conf,
      EBBGATE_API: `http://127.0.0.1:${api.address().port}`,
      EBBGATE_TOKEN_FILE: join(dir, 'token'),
      EBBGATE_LEAVE_TIMEOUT: '2',
      EBBGATE_JOIN_AFTER: '60',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a process group of its own, as in a container
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const exited = once(child, 'exit').then(([code]) => code as number);
  container = { child, exited, said: () => said };
  if (wait) await until(() => ask(adminPort, 'GET /readyz HTTP/1.0\r\n\r\n', ' 200 ')).toBe(true);
  return container;
}

/** A request that takes `seconds`, open by the time this resolves. */
async function openRequest(seconds: number): Promise<{ readonly status: Promise<number> }> {
  const status = request(`http://127.0.0.1:${port}/?delay=${seconds}`).then(
    async ({ statusCode, body }) => {
      await body.dump();
      return statusCode;
    },
    () => 0,
  );
  const open = async (): Promise<boolean> => {
    const metrics = await request(`http://127.0.0.1:${adminPort}/metrics`);
    return /^ebbgate_in_flight\{.*\} 1$/m.test(await metrics.body.text());
  };
  await until(open).toBe(true);
  return { status };
}

beforeAll(async () => {
  mkdirSync(join(dir, 'bin'));
  symlinkSync(join(root, 'nginx/leave.sh'), join(dir, 'bin/ebbgate-leave'));
  if (process.env.EBBGATE_NGINX) symlinkSync(process.env.EBBGATE_NGINX, join(dir, 'bin/nginx'));
  writeFileSync(join(dir, 'token'), `${TOKEN}\n`);
  [port, adminPort] = [await reservePort(), await reservePort()];
  instance = await startDemoInstance({
    service: 'shop',
    version: 'v1',
    instance: 'a',
    host: '127.0.0.1',
    port: 0,
  });
  const redisPort = await reservePort();
  redis = await launchRedis({ dir: join(dir, 'redis'), port: redisPort });
  const rendered = renderConf(
    {
      gateway_id: 'gateway-1',
      listen: [`127.0.0.1:${port}`],
      admin_listen: `127.0.0.1:${adminPort}`,
      run_dir: dir,
      lua_dir: join(root, 'lua'),
      workers: 2,
      redis_port: redisPort,
      error_log: 'stderr',
      user: process.getuid?.() === 0 ? 'root' : '',
      lua_module: process.env.EBBGATE_NGINX?.includes('openresty') ? 'builtin' : 'debian',
    },
    readTemplates(root),
    productVersion(root),
  );
  if (!rendered.ok) throw new Error(rendered.error.map(({ message }) => message).join('\n'));
  writeFileSync(conf, rendered.value);
  const scripts = await loadScripts(join(root, 'lua/redis'));
  const url = `redis://127.0.0.1:${redisPort}`;
  await using publisher = createPublisher({ url, log, clock, scripts, commandTimeoutMs: 10_000 });
  await publisher.start();
  await vi.waitFor(() => expect(publisher.state().state).toBe('connected'), { timeout: 15_000 });
  await publisher.open(1);
  const peer = buildPeer({
    id: 'a',
    host: '127.0.0.1',
    port: instance.port,
    state: 'up',
    down: false,
    weight: 100,
  });
  const documents = [
    buildSet({ service: 'shop', peers: [peer] }),
    buildRoutes([{ host: '*', path: '/', service: 'shop' }]),
  ];
  for (const document of documents)
    await publisher.publish({
      ...{ epoch: 1, last_generation: 0, expected_generation: 0, at: '2026-11-21T00:00:00Z' },
      encoded: buildEncoded(document),
    });
  await publisher.seal(1);
});
afterAll(async () => {
  await Promise.all([redis.stop(), instance.close()]);
  rmSync(dir, { recursive: true });
});

beforeEach(async () => {
  plane = new MemoryPlane();
  api = createApi({
    ...{ plane, log, clock, version: '1', token: TOKEN, listen: { host: '127.0.0.1', port: 0 } },
    randomId: () => 'req-1',
    randomBytes,
    metrics: () => Promise.resolve(''),
  });
  await api.start();
});
afterEach(async () => {
  const running = container;
  container = undefined;
  if (running !== undefined) {
    try {
      process.kill(-running.child.pid!, 'SIGKILL'); // what a failed test has left
    } catch {
      // nothing, as it should be
    }
    await running.exited;
  }
  await api.close();
});

describe.each(['SIGQUIT', 'SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  it('lets the last request end, then leaves', async () => {
    const { child, exited, said } = await start();
    const answer = await openRequest(2);
    child.kill(signal);
    await until(said).toContain('gracefully shutting down');
    expect(left()).toEqual([]);
    expect(await answer.status).toBe(200);
    expect(await exited).toBe(0);
    expect(left()).toEqual(['leave_gateway static for gateway-gateway-1']);
    expect(said()).toContain('gateway gateway-1 has left');
  });
});

describe('the stop', () => {
  it('cuts requests when it is asked a second time, and leaves', async () => {
    const { child, exited, said } = await start();
    const answer = await openRequest(60);
    child.kill('SIGTERM');
    await until(said).toContain('gracefully shutting down');
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(await answer.status).not.toBe(200);
    expect(left()).toHaveLength(1);
  });

  it('is not lost while nginx starts', async () => {
    const { child, exited } = await start({}, false);
    const children = (): string => readFileSync(`/proc/${child.pid!}/task/${child.pid!}/children`, 'utf8');
    await vi.waitUntil(() => children() !== '', { timeout: 20_000, interval: 1 });
    child.kill('SIGQUIT');
    expect(await exited).toBe(0);
    expect(left()).toHaveLength(1);
  });

  it.each([
    ['nobody answers', 'http://127.0.0.1:1', 'gave no answer within 2 s'],
    ['the token is wrong', undefined, '(401)'],
  ])('ends with 75 when %s, and says what to do', async (_, url, why) => {
    const { child, exited, said } = await start(
      url === undefined ? { EBBGATE_TOKEN_FILE: '', EBBGATE_TOKEN: 'wrong' } : { EBBGATE_API: url },
    );
    child.kill('SIGQUIT');
    expect(await exited).toBe(75);
    expect(said()).toContain(why);
    expect(said()).toContain('ebbgate gateway leave gateway-1');
    expect(left()).toEqual([]);
  });

  it('ends with 0 when the gateway had left before, and when nothing is to be reported', async () => {
    plane.refusal = { code: 'not_found', field: 'gateway', detail: 'There is no gateway gateway-1' };
    const first = await start();
    first.child.kill('SIGQUIT');
    expect(await first.exited).toBe(0);
    expect(first.said()).toContain('was not in the roster');
    const second = await start({ EBBGATE_API: '' });
    second.child.kill('SIGQUIT');
    expect(await second.exited).toBe(0);
    expect(second.said()).toContain('Do it by hand: ebbgate gateway leave gateway-1');
  });

  it('tries again while the API cannot', async () => {
    plane.refusal = { code: 'not_ready', detail: 'ZooKeeper is away' };
    const { child, exited } = await start({ EBBGATE_LEAVE_TIMEOUT: '20' });
    child.kill('SIGQUIT');
    await until(() => plane.mutated.length).toBeGreaterThan(0);
    plane.refusal = null;
    expect(await exited).toBe(0);
  });

  it('keeps the token out of every command line, and goes on at the next controller', async () => {
    const asked: Socket[] = [];
    const silent = createServer((socket) => asked.push(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const first = `http://127.0.0.1:${String((silent.address() as AddressInfo).port)}`;
    const { child, exited } = await start({
      EBBGATE_LEAVE_TIMEOUT: '20',
      EBBGATE_API: `${first},http://127.0.0.1:${String(api.address().port)}`,
    });
    child.kill('SIGQUIT');
    await until(() => asked.length).toBeGreaterThan(0);
    const seen = spawn('ps', ['-eo', 'args'], { stdio: ['ignore', 'pipe', 'ignore'] });
    let lines = '';
    seen.stdout.on('data', (chunk: Buffer) => (lines += chunk.toString()));
    await once(seen, 'close');
    expect(lines).toContain('/v1/gateways/gateway-1/leave');
    expect(lines).not.toContain(TOKEN);
    expect(plane.mutated).toEqual([]);
    silent.close();
    for (const socket of asked) socket.destroy();
    expect(await exited).toBe(0);
    expect(plane.mutated).toMatchObject([{ mutation: { kind: 'leave_gateway', gateway: 'gateway-1' } }]);
  });
});

describe('an end that nobody asked for', () => {
  it('is passed on, and nothing is reported: it is expected back', async () => {
    const { exited, said } = await start();
    process.kill(nginxPid(), 'SIGKILL');
    expect(await exited).toBe(137);
    expect(said()).toContain('nginx ended of itself (137)');
    expect(left()).toEqual([]);
  });
});

it('reads its conf again on HUP', async () => {
  const { child, exited, said } = await start();
  const workers = (): string => readFileSync(`/proc/${nginxPid()}/task/${nginxPid()}/children`, 'utf8');
  const before = workers();
  child.kill('SIGHUP');
  await until(said).toContain('reconfiguring');
  await vi.waitFor(
    () =>
      expect(
        workers()
          .split(' ')
          .some((pid) => before.includes(pid) && pid !== ''),
      ).toBe(false),
    {
      timeout: 20_000,
    },
  );
  child.kill('SIGQUIT');
  expect(await exited).toBe(0);
});

it.each([
  ['there is no conf', { EBBGATE_CONF: '/nonexistent' }, 'ebbgate render'],
  ['the conf is somebody else’s', { EBBGATE_CONF: '/dev/null' }, 'ebbgate render'],
  [
    'the password cannot be read',
    { EBBGATE_REDIS_PASSWORD_FILE: '/nonexistent' },
    'EBBGATE_REDIS_PASSWORD_FILE',
  ],
  [
    'the sentinels’ password cannot be read',
    { EBBGATE_REDIS_SENTINEL_PASSWORD_FILE: '/nonexistent' },
    'EBBGATE_REDIS_SENTINEL_PASSWORD_FILE',
  ],
])('does not start when %s', async (_, env, why) => {
  const { exited, said } = await start(env, false);
  expect(await exited).toBe(2);
  expect(said()).toContain(why);
});

describe('a gateway that has left and starts again without Redis', () => {
  const mark = join(dir, 'state/left');
  const ready = (): Promise<boolean> => ask(adminPort, 'GET /readyz HTTP/1.0\r\n\r\n', ' 200 ');

  it('serves its disk only once the control API knows of it; with Redis there, that is enough', async () => {
    const first = await start();
    first.child.kill('SIGTERM');
    expect(await first.exited).toBe(0);
    expect(existsSync(mark)).toBe(true);
    const second = await start();
    await until(() => existsSync(mark)).toBe(false);
    second.child.kill('SIGTERM');
    expect(await second.exited).toBe(0);

    await redis.stop();
    plane.mutated.length = 0;
    plane.refusal = { code: 'not_ready', detail: 'no office' };
    const third = await start({ EBBGATE_JOIN_AFTER: '0' }, false);
    await until(third.said).toContain('serves nothing yet');
    const refused = await request(`http://127.0.0.1:${port}/`);
    expect([refused.statusCode, await refused.body.json()]).toMatchObject([503, { code: 'left' }]);
    expect(await ready()).toBe(false);
    plane.refusal = null;
    await until(third.said).toContain('knows that gateway gateway-1 serves');
    await until(ready).toBe(true);
    expect(left()).toContain('join_gateway static for gateway-gateway-1');
    expect(existsSync(mark)).toBe(false);
    const served = await request(`http://127.0.0.1:${port}/`);
    expect([served.statusCode, await served.body.json()]).toMatchObject([200, { instance: 'a' }]);
    third.child.kill('SIGTERM');
    await third.exited;
  });
});
