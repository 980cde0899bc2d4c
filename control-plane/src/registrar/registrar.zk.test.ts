import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock as CLOCK } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { launchZooKeeper } from '../local/zookeeper.js';
import type { Log, ProviderData } from '../model/ports.js';
import { connect, type ZooKeeperConnection } from '../zookeeper/connection.js';
import { ZooKeeperLink } from '../zookeeper/link.js';
import { flawOfProvider } from '../registry/provider_data.js';
import { createProviderRegistration } from '../zookeeper/provider.js';
import { askApi } from './ask_api.js';
import { startChild, type SendSignal } from './child.js';
import { answers2xx } from './readiness.js';
import { Registrar, type RegistrarOptions } from './registrar.js';

const SILENT: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
const send: SendSignal = (pid, signal) => {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
};
/** The suite's polls: the machine may be busy. */
const IN_TIME = { timeout: 15_000, interval: 20 };

let dir: string;
let zookeeper: LocalProcess;
let zookeeperPort: number;
let reader: ZooKeeperConnection;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ebbgate-registrar-'));
  zookeeperPort = await reservePort();
  zookeeper = await launchZooKeeper({ dir: join(dir, 'zookeeper'), port: zookeeperPort });
  const opened = await connect({
    server: { host: '127.0.0.1', port: zookeeperPort },
    ...{ sessionTimeoutMs: 20_000, connectTimeoutMs: 15_000, clock: CLOCK },
  });
  if (!opened.ok) throw new Error(opened.error);
  reader = opened.value;
});
afterAll(async () => {
  await reader.close();
  await zookeeper.stop();
});

/** What the control API says of the instance; the whole way to it is shown by the e2e tests. */
let says: { leaving: boolean; drain: { drained: boolean; waiting_for: string[] } | null };
/** What the instance answers to the readiness probe. */
let health: number;
let server: Server;
let url: string;
const links: ZooKeeperLink[] = [];

beforeEach(async () => {
  [says, health] = [{ leaving: false, drain: null }, 200];
  server = createServer((request, response) => {
    if (request.url === '/healthz') response.writeHead(health).end();
    else response.end(JSON.stringify(says));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});
afterEach(async () => {
  server.close();
  server.closeAllConnections();
  await Promise.all(links.splice(0).map((link) => link.close()));
});

let serial = 0;
function newRegistrar(options: Partial<RegistrarOptions> & { readonly script?: string } = {}): {
  readonly registrar: Registrar;
  readonly code: Promise<number>;
  readonly node: () => Promise<ProviderData | null>;
} {
  serial += 1;
  const data: ProviderData = { id: `a-${String(serial)}`, host: '10.0.0.7', port: 8_080, version: 'v1' };
  const link = new ZooKeeperLink({
    ...{ connect: `127.0.0.1:${String(zookeeperPort)}`, sessionTimeoutMs: 4_000, log: SILENT, clock: CLOCK },
    random: () => 0,
  });
  links.push(link);
  const { script, ...rest } = options;
  const registrar = new Registrar({
    clock: CLOCK,
    data,
    registration: createProviderRegistration({
      link,
      root: '/services',
      service: 'shop',
      node: data.id,
      check: flawOfProvider,
    }),
    ask: askApi({ api: url, service: 'shop', instance: data.id, clock: CLOCK }),
    startChild:
      script === undefined ? undefined : () => startChild('sh', ['-c', script], send, console.error, CLOCK),
    drainTimeoutMs: 60_000,
    stopTimeoutMs: 5_000,
    log: SILENT,
    ...rest,
  });
  const code = link.start().then(() => registrar.run());
  const node = async (): Promise<ProviderData | null> => {
    const read = await reader.getData(`/services/shop/providers/${data.id}`);
    if (read.ok) return JSON.parse(read.value.data.toString('utf8')) as ProviderData;
    if (read.error.kind === 'no_node') return null;
    throw new Error(JSON.stringify(read.error));
  };
  return { registrar, code, node };
}

test('registers, leaves, waits for the proof, stops the command, deregisters, passes on its code', async () => {
  const log = join(dir, 'order');
  const { registrar, code, node } = newRegistrar({
    script: `trap 'echo stopped >> ${log}; exit 7' TERM; echo started > ${log}; while :; do sleep 0.05; done`,
  });
  await expect
    .poll(node, IN_TIME)
    .toMatchObject({ version: 'v1', host: '10.0.0.7', port: 8_080, ready: true });
  await expect.poll(() => existsSync(log), IN_TIME).toBe(true);
  says = { leaving: false, drain: { drained: true, waiting_for: [] } }; // of an older drain: proves nothing
  registrar.stop();
  await expect.poll(node, IN_TIME).toMatchObject({ leaving: true });
  let ended = false;
  void code.then(() => (ended = true));
  says = { leaving: true, drain: { drained: false, waiting_for: ['gateway-1: 1 open request'] } };
  for (let asked = 0; asked < 3; asked += 1) await once(server, 'request'); // it saw that, and goes on asking
  expect(ended).toBe(false);
  expect(readFileSync(log, 'utf8')).toBe('started\n');
  says = { leaving: true, drain: { drained: true, waiting_for: [] } };
  expect(await code).toBe(7);
  expect(readFileSync(log, 'utf8')).toBe('started\nstopped\n');
  expect(await node()).toBeNull();
});

test('a refusal by the controller is reported, and ends a run that must be accepted', async () => {
  const lines: string[] = [];
  const log: Log = {
    ...SILENT,
    error: (fields, message) => lines.push(`${message} ${JSON.stringify(fields)}`),
  };
  const accepted = {
    ask: () => Promise.resolve({ kind: 'refused', problem: 'forbidden_host: loopback' } as const),
    withinMs: 60_000,
  };
  const { registrar, code, node } = newRegistrar({ log, accepted: { ...accepted, required: false } });
  await expect.poll(() => lines.join(), IN_TIME).toContain('forbidden_host: loopback');
  expect(await node()).not.toBeNull();
  expect(registrar.accepted).toBe(false);
  registrar.stop();
  registrar.stop();
  expect(await code).toBe(0);
  const strict = newRegistrar({ accepted: { ...accepted, required: true }, script: 'sleep 100' });
  expect(await strict.code).toBe(5);
  expect(await strict.node()).toBeNull();
});

test('a run that must be accepted ends when nobody says so in time, and goes on once somebody did', async () => {
  const ask = () => Promise.resolve({ kind: 'unknown', reason: 'away' } as const);
  const late = newRegistrar({ accepted: { ask, required: true, withinMs: 200 } });
  expect(await late.code).toBe(7);
  const taken = newRegistrar({
    accepted: { ask: () => Promise.resolve({ kind: 'accepted' }), required: true, withinMs: 10_000 },
    drainTimeoutMs: 0,
  });
  await expect.poll(() => taken.registrar.accepted, IN_TIME).toBe(true);
  taken.registrar.stop();
  expect(await taken.code).toBe(0);
});

test('the next start begins fresh', async () => {
  const first = newRegistrar({ drainTimeoutMs: 0 });
  await expect.poll(first.node, IN_TIME).not.toBeNull();
  first.registrar.stop();
  expect(await first.code).toBe(0);
  serial -= 1; // the same identity again
  const second = newRegistrar({ drainTimeoutMs: 0 });
  await expect.poll(second.node, IN_TIME).not.toBeNull();
  expect((await second.node())?.leaving).toBeUndefined();
  second.registrar.stop();
  await second.code;
});

test('goes after the drain time-out when the API is away, and at once at the second stop', async () => {
  server.close();
  server.closeAllConnections();
  const late = newRegistrar({ drainTimeoutMs: 300 });
  await expect.poll(late.node, IN_TIME).not.toBeNull();
  const before = performance.now();
  late.registrar.stop();
  expect(await late.code).toBe(0);
  expect(performance.now() - before).toBeGreaterThan(290);
  expect(await late.node()).toBeNull();

  const hasty = newRegistrar();
  await expect.poll(hasty.node, IN_TIME).not.toBeNull();
  hasty.registrar.stop();
  await expect.poll(hasty.node, IN_TIME).toMatchObject({ leaving: true });
  hasty.registrar.stop();
  expect(await hasty.code).toBe(0);
  expect(await hasty.node()).toBeNull();
});

test('a third stop kills a command that will not go', async () => {
  const mark = join(dir, 'stubborn');
  const { registrar, code } = newRegistrar({
    script: `trap '' TERM; touch ${mark}; while :; do sleep 0.05; done`,
    stopTimeoutMs: 600_000,
  });
  await expect.poll(() => existsSync(mark), IN_TIME).toBe(true);
  registrar.stop();
  registrar.stop();
  registrar.stop();
  expect(await code).toBe(137);
});

test('a command that ends by itself is deregistered at once, also in the middle of its drain', async () => {
  const gate = join(dir, 'gate');
  const script = `while [ ! -e ${gate} ]; do sleep 0.02; done; exit 42`;
  const plain = newRegistrar({ script });
  const draining = newRegistrar({ script });
  await expect.poll(plain.node, IN_TIME).not.toBeNull();
  await expect.poll(draining.node, IN_TIME).not.toBeNull();
  draining.registrar.stop();
  await expect.poll(draining.node, IN_TIME).toMatchObject({ leaving: true });
  writeFileSync(gate, '');
  expect(await Promise.all([plain.code, draining.code])).toEqual([42, 42]);
  expect(await Promise.all([plain.node(), draining.node()])).toEqual([null, null]);
});

test('a command that cannot be started is never left registered', async () => {
  const said: string[] = [];
  const { code, node } = newRegistrar({
    startChild: () => startChild('/no/such/program', [], send, (message) => said.push(message), CLOCK),
  });
  expect(await code).toBe(127);
  expect(await node()).toBeNull();
  expect(said).toHaveLength(1);
});

test('with a readiness path: registered once ready, unready while it fails, ready again', async () => {
  health = 503;
  const { registrar, code, node } = newRegistrar({
    readiness: {
      probe: (signal) => answers2xx(`${url}/healthz`, signal, CLOCK),
      rule: { everyMs: 20, failures: 3, successes: 2 },
    },
  });
  for (let asked = 0; asked < 3; asked += 1) await once(server, 'request');
  expect(await node()).toBeNull();
  health = 200;
  await expect.poll(node, IN_TIME).toMatchObject({ ready: true });
  health = 500;
  await expect.poll(node, IN_TIME).toMatchObject({ ready: false });
  health = 204;
  await expect.poll(node, IN_TIME).toMatchObject({ ready: true });
  says = { leaving: true, drain: { drained: true, waiting_for: [] } };
  registrar.stop();
  expect(await code).toBe(0);
});

test('stopped before it was ever ready: nothing to drain', async () => {
  health = 503;
  const { registrar, code, node } = newRegistrar({
    readiness: {
      probe: (signal) => answers2xx(`${url}/healthz`, signal, CLOCK),
      rule: { everyMs: 20, failures: 3, successes: 2 },
    },
    drainTimeoutMs: 600_000,
  });
  await once(server, 'request');
  registrar.stop();
  expect(await code).toBe(0);
  expect(await node()).toBeNull();
});
