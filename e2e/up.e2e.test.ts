import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { request } from 'undici';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type Endpoints,
  lives,
  marked,
  planPorts,
  reservePlan,
  readEndpoints,
  readState,
  send,
  takenPorts,
} from '../control-plane/src/testkit.js';
import { until } from './harness/until.js';

const ROOT = join(import.meta.dirname, '..');
const SCRIPT = join(ROOT, 'scripts/ebbgate.mjs');
const run = promisify(execFile);

let dir: string;
let base: number;

beforeEach(async () => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'ebbgate-up-')));
  ({ base } = await reservePlan(2, 3));
});
afterEach(async () => {
  await ebbgate('down', '--dir', dir);
}, 60_000);

interface Ended {
  readonly code: number;
  readonly out: string;
}

async function ebbgate(...args: readonly string[]): Promise<Ended> {
  try {
    const { stdout, stderr } = await run(process.execPath, [SCRIPT, ...args], { cwd: ROOT });
    return { code: 0, out: stdout + stderr };
  } catch (error) {
    const failed = error as { code: number; stdout: string; stderr: string };
    return { code: failed.code, out: failed.stdout + failed.stderr };
  }
}

const upDetached = (...flags: readonly string[]): Promise<Ended> =>
  ebbgate('up', '--detach', '--dir', dir, '--base-port', String(base), ...flags);

function endpoints(): Endpoints {
  const found = readEndpoints(dir);
  if (found === undefined) throw new Error('nothing is up');
  return found;
}

async function answerOf(url: string): Promise<{ status: number; body: { instance?: string } }> {
  const answer = await request(url, { signal: AbortSignal.timeout(5_000) });
  return { status: answer.statusCode, body: (await answer.body.json()) as { instance?: string } };
}

/** Instances that answer over `n` requests to the first gateway; every one must succeed. */
async function answering(n: number): Promise<readonly string[]> {
  const seen = new Set<string>();
  for (let count = 0; count < n; count += 1) {
    const { status, body } = await answerOf(`${endpoints().gateways[0] ?? ''}/any/path`);
    expect(status).toBe(200);
    seen.add(String(body.instance));
  }
  return [...seen].sort();
}

function everythingOf(dirOfIt: string): readonly number[] {
  return [...marked(dirOfIt), ...(readState(dirOfIt)?.processes ?? []).filter(lives).map(({ pid }) => pid)];
}

test('up in the background: endpoints, traffic, scale in by SIGTERM, restarts, status, down', async () => {
  const started = await upDetached();
  expect(started).toMatchObject({
    code: 0,
    out: expect.stringContaining(`curl http://127.0.0.1:${String(base)}/`),
  });
  expect(started.out).toContain(`\`npx ebbgate down --dir ${dir}\` stops it.`);
  const { gateways, gateway_admin, api, apis, zookeeper, redis, instances } = endpoints();
  const at = (distance: number): string => `127.0.0.1:${String(base + distance)}`;
  expect({ gateways, gateway_admin, api, apis, zookeeper, redis }).toEqual({
    gateways: [`http://${at(0)}`, `http://${at(1)}`],
    gateway_admin: [`http://${at(100)}`, `http://${at(101)}`],
    api: `http://${at(10)}`,
    apis: [`http://${at(10)}`, `http://${at(11)}`],
    zookeeper: at(4_101),
    redis: at(8_299),
  });
  expect(instances.map(({ id, version }) => [id, version])).toEqual([
    [at(200), 'v1'],
    [at(201), 'v1'],
    [at(202), 'v1'],
  ]);
  expect(await until('all three instances answer', async () => (await answering(9)).length === 3)).toBe(true);
  expect(await ebbgate('status', '--dir', dir)).toMatchObject({ code: 0, out: expect.stringContaining(api) });

  const second = await upDetached();
  expect(second).toMatchObject({ code: 1, out: expect.stringMatching(/runs in .* already.*ebbgate down/) });

  const leaving = instances[0];
  send(leaving?.pid ?? 0, 'SIGTERM');
  await until('the instance is off the list', () => endpoints().instances.length === 2);
  expect(await answering(6)).toEqual([at(201), at(202)]);

  const pidOf = (name: string): number | undefined =>
    readState(dir)?.processes.find((one) => one.name === name)?.pid;
  for (const name of ['gateway-1', 'Redis', 'ZooKeeper', 'controller-1', 'controller-2']) {
    const before = pidOf(name);
    send(before ?? 0, 'SIGKILL');
    await until(`${name} runs again`, () => pidOf(name) !== undefined && pidOf(name) !== before, {
      timeoutMs: 30_000,
    });
  }
  await until('status is well again', async () => (await ebbgate('status', '--dir', dir)).code === 0, {
    timeoutMs: 30_000,
  });
  expect(await answering(6)).toEqual([at(201), at(202)]);

  const supervisor = readState(dir)?.supervisor;
  const before = performance.now();
  expect(await ebbgate('down', '--dir', dir)).toMatchObject({ code: 0 });
  expect(performance.now() - before).toBeLessThan(12_000); // 10 s and the start of the command itself
  expect(supervisor && lives(supervisor)).toBe(false);
  expect(everythingOf(dir)).toEqual([]);
  expect(existsSync(join(dir, 'endpoints.json'))).toBe(false);
  expect((await ebbgate('status', '--dir', dir)).code).toBe(1);
  const plan = planPorts(base, 2, 3);
  expect(plan.ok && (await takenPorts(plan.value))).toEqual([]);
}, 180_000);

test('a signal stops it, in the middle of the start as well', async () => {
  for (const moment of ['ZooKeeper', 'Try next']) {
    const child = spawn(
      process.execPath,
      [SCRIPT, 'up', '--dir', dir, '--base-port', String(base), '--gateways', '1', '--instances', '1'],
      { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += String(chunk)));
    await until(`it says ${moment}`, () => said.includes(moment), { timeoutMs: 40_000 });
    const before = performance.now();
    child.kill('SIGINT');
    child.kill('SIGINT'); // from the terminal and from npm
    const [code] = (await once(child, 'exit')) as [number];
    expect(performance.now() - before).toBeLessThan(10_000);
    expect(code).toBe(0);
    expect(said).toContain('Everything has stopped.');
    expect(everythingOf(dir)).toEqual([]);
  }
}, 120_000);

test('what a killed one left is cleaned up by the next, and its intents are kept', async () => {
  expect(await upDetached('--gateways', '2', '--instances', '2')).toMatchObject({ code: 0 });
  const isolated = endpoints().instances[0]?.id ?? '';
  const api = ['--api', endpoints().api];
  expect(await ebbgate('isolate', '-s', 'shop', isolated, '--reason', 'test', ...api)).toMatchObject({
    code: 0,
  });
  const killed = readState(dir);
  send(killed?.supervisor.pid ?? 0, 'SIGKILL');
  await until('it is dead', () => killed !== undefined && !lives(killed.supervisor));
  expect(await ebbgate('status', '--dir', dir)).toMatchObject({
    code: 1,
    out: expect.stringContaining('killed'),
  });

  const again = await upDetached('--gateways', '1', '--instances', '2');
  expect(again).toMatchObject({ code: 0, out: expect.stringContaining('earlier') });
  expect(killed?.processes.filter(lives)).toEqual([]);
  expect(await answering(4)).not.toContain(isolated);
  const gateways = await answerOf(`${endpoints().api}/v1/gateways`);
  expect(gateways.body).toMatchObject({ items: [{ id: 'gateway-1' }] }); // the other one would block every drain
}, 180_000);

test('a taken port is named before anything starts, a bad flag by its name', async () => {
  const other = createServer().listen(base + 10, '127.0.0.1');
  await once(other, 'listening');
  const refused = await upDetached();
  other.close();
  expect(refused.code).toBe(1);
  expect(refused.out).toContain(
    `port ${String(base + 10)} is taken; the control API of controller-1 wants it`,
  );
  expect(refused.out).not.toContain('up after');
  expect(readState(dir)).toBeUndefined();
  for (const [flag, value] of [
    ['--base-port', '80'],
    ['--base-port', 'x'],
    ['--gateways', '0'],
    ['--instances', '-1'],
    ['--controllers', '0'],
  ] as const)
    expect((await ebbgate('up', '--dir', dir, flag, value)).out).toMatch(
      new RegExp(`error: ${flag} must be`),
    );
});

test('--no-demo starts no instance and no route', async () => {
  expect(await upDetached('--no-demo', '--gateways', '1')).toMatchObject({ code: 0 });
  expect(endpoints().instances).toEqual([]);
  expect((await answerOf(endpoints().gateways[0] ?? '')).status).toBe(404);
  expect(readFileSync(join(dir, 'up.log'), 'utf8')).toContain('npx ebbgate register');
}, 120_000);
