import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServiceResource, ZooKeeperConnection } from '../control-plane/src/testkit.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { ownMemory } from './harness/memory.js';
import { until } from './harness/until.js';
import { openSession } from './harness/znode.js';

/*
 * Services that come and go leave nothing behind: no keys in Redis, no records in ZooKeeper, no files and no memory.
 */

const LONG = process.env.EBBGATE_LONG !== undefined;
/** 10,000 services in all in the long run. */
const ROUNDS = LONG ? 10 : 2;
const SERVICES = LONG ? 1_000 : 40;
/** Every so many of them have something decided, and taken back. */
const DECIDED = LONG ? 50 : 10;
/** The heap of the controller in the long run. */
const HEAP_MIB = 64;
const WAIT = { timeoutMs: LONG ? 120_000 : 30_000 };

let platform: ControlledPlatform;
let session: ZooKeeperConnection;

beforeAll(async () => {
  const heap: Readonly<Record<string, string>> = LONG
    ? { NODE_OPTIONS: `--max-old-space-size=${String(HEAP_MIB)}` }
    : {};
  platform = await ControlledPlatform.start({
    env: { EBBGATE_TOMBSTONE: '1s', EBBGATE_FORGET: '2s', ...heap },
  });
  await platform.startInstance();
  await platform.route();
  session = await openSession(platform.ports.zookeeper);
});
afterAll(async () => {
  await session.close();
  await platform[Symbol.asyncDispose]();
});

async function write(...work: readonly ReturnType<ZooKeeperConnection['create']>[]): Promise<void> {
  for (const done of await Promise.all(work)) if (!done.ok) throw new Error(done.error.message);
}

const folder = (service: string): string => `/services/${service}`;
const registration = (id: string, more: object = {}): Buffer =>
  Buffer.from(JSON.stringify({ id, host: '127.0.0.1', port: 9, version: 'v1', ...more }));

async function come(services: readonly string[]): Promise<void> {
  await write(...services.map((one) => session.create(folder(one), Buffer.alloc(0), {})));
  await write(...services.map((one) => session.create(`${folder(one)}/providers`, Buffer.alloc(0), {})));
  await write(
    ...services.map((one) =>
      session.create(`${folder(one)}/providers/a`, registration('a'), { ephemeral: true }),
    ),
  );
}

/** They leave with a word, which must have been heard, and their registrants take away what they had made. */
async function go(services: readonly string[]): Promise<void> {
  const leaving = registration('a', { leaving: true });
  await Promise.all(services.map((one) => session.setData(`${folder(one)}/providers/a`, leaving, -1)));
  const those = new Set(services);
  await until('they are draining', async () => {
    const { items } = (await platform.call<{ items: ServiceResource[] }>('GET', '/v1/services')).body;
    return (
      items.filter(({ service, instances }) => those.has(service) && instances.draining === 1).length ===
      services.length
    );
  });
  await Promise.all(services.map((one) => session.remove(`${folder(one)}/providers/a`, -1)));
  await Promise.all(services.map((one) => session.remove(`${folder(one)}/providers`, -1)));
}

/** What Redis and ZooKeeper have of services. */
async function count() {
  const children = async (path: string): Promise<number> => {
    const read = await session.getChildren(path);
    return read.ok ? read.value.names.length : 0;
  };
  return {
    keys: (await platform.data.keys('{ebb}:set:*')).length,
    index: await platform.data.zcard('{ebb}:index'),
    intents: await children('/ebbgate/intents'),
    history: await children('/ebbgate/history'),
    services: (await platform.call<{ items: unknown[] }>('GET', '/v1/services')).body.items.length,
  };
}

const files = (gateway: number): readonly string[] =>
  readdirSync(join(platform.gateways[gateway]!.place.dir, 'state', 'sets')).filter((name) =>
    name.endsWith('.set'),
  );

test(
  `${String(ROUNDS * SERVICES)} services come and go: the keys stay bounded, and so does memory`,
  async () => {
    await using traffic = platform.traffic({ rate: 30 });
    await until('two gateways are heard', async () => (await platform.fleet()).length === 2);
    const before = await count();
    const memory: number[] = [];
    const most = { keys: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      const services = Array.from({ length: SERVICES }, (_, n) => `s-${String(round)}-${String(n)}`);
      await come(services);
      await until(
        'all are published',
        async () => (await platform.data.zcard('{ebb}:index')) >= before.index + SERVICES,
        WAIT,
      );
      for (const service of services.filter((_, n) => n % DECIDED === 0))
        for (const verb of ['isolate', 'restore']) {
          const path = `/v1/services/${service}/instances/a/${verb}`;
          const answer = await platform.call('POST', path, { reason: 'a try', force: true });
          expect(answer.status).toBe(200);
        }
      await go(services);
      await until(
        'nothing is left of them in Redis and in ZooKeeper',
        async () => {
          const now = await count();
          most.keys = Math.max(most.keys, now.keys);
          return JSON.stringify(now) === JSON.stringify(before);
        },
        WAIT,
      );
      // The controller took its folder of consumers along: the node of the service is empty.
      await until('the nodes of the services can go', async () => {
        const gone = await Promise.all(services.map((one) => session.remove(folder(one), -1)));
        return gone.every((one) => one.ok || one.error.kind === 'no_node');
      });
      memory.push(ownMemory(platform.controller.process.pid));
    }
    const page = await platform.text('/metrics');
    expect(page.text).not.toMatch(/service="s-/);
    if (LONG) {
      await until('the disks of the gateways', () => files(0).length + files(1).length <= 4, WAIT);
      const [half, end] = [memory[ROUNDS / 2] ?? 0, memory.at(-1) ?? 0];
      report({ most: most.keys, before, half, end });
      expect(end / half).toBeLessThan(1.15);
    }
    expect(await traffic.stop()).toEqual([]);
  },
  LONG ? 1_200_000 : 120_000,
);

test('a gateway that was away while a service went and its tombstone was pruned ends without it', async () => {
  const [one, two] = platform.gateways as [
    (typeof platform.gateways)[number],
    (typeof platform.gateways)[number],
  ];
  const instance = await platform.startInstance({ service: 'gone' });
  await platform.route('gone', '/gone');
  const answeredBy = async (url: string): Promise<string> => {
    const { body } = await request(`${url}/gone`);
    return ((await body.json()) as { service: string }).service;
  };
  expect(await answeredBy(two.url)).toBe('gone');
  const file = join(two.place.dir, 'state', 'sets', 'gone.set');
  expect(existsSync(file)).toBe(true);
  await two.kill();
  await until('it is silent', async () => (await platform.fleet()).some(({ state }) => state === 'unknown'));
  const said = await platform.cli('gateway', 'forget', two.id, '--reason', 'its machine is off');
  expect(said).toMatchObject({ code: 0 });
  await platform.patch('gone', { routes: null });
  await platform.stopInstance(instance);
  await until(
    'its tombstone is pruned',
    async () => (await platform.data.exists('{ebb}:set:gone')) === 0,
    WAIT,
  );
  expect(existsSync(file)).toBe(true);
  await two.start();
  await until('it serves', async () => (await answeredBy(two.url)) === 'shop');
  await until('its file of the service is removed', () => !existsSync(file));
  expect(await answeredBy(one.url)).toBe('shop');
  // The name begins anew.
  await platform.startInstance({ service: 'gone' });
  await platform.route('gone', '/gone');
  for (const { url } of platform.gateways)
    await until(`${url} serves it again`, async () => (await answeredBy(url)) === 'gone');
});

function report(seen: {
  readonly most: number;
  readonly before: { readonly keys: number };
  readonly half: number;
  readonly end: number;
}): void {
  const mib = (bytes: number): string => (bytes / 1_048_576).toFixed(1);
  const rows: readonly (readonly [string, string])[] = [
    ['what', 'count'],
    ['date', new Date().toISOString().slice(0, 10)],
    ['services that came and went', (ROUNDS * SERVICES).toLocaleString('en')],
    ['at a time', String(SERVICES)],
    ['sets in Redis before and after', String(seen.before.keys)],
    ['sets in Redis at the most, when a round ended', String(seen.most)],
    ['memory of the controller half way, MiB', mib(seen.half)],
    ['memory of the controller at the end, MiB', mib(seen.end)],
  ];
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[], fill = ' '): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0, fill)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  const table = [line(head), line(['', ''], '-'), ...body.map((row) => line(row))].join('\n');
  const text = `# Services that come and go

Services are registered, published, some isolated and restored, and leave; Redis, ZooKeeper and the gateways' disks must end as they
began. Memory is what belongs to the controller alone (\`Pss_Anon\`); its heap is bounded to ${String(HEAP_MIB)} MiB, so that what is not
collected yet does not count as grown. Written by \`npm run test:long -- cleanup\`.

${table}
`;
  writeFileSync(new URL('../docs/results/cleanup.md', import.meta.url), text);
}
