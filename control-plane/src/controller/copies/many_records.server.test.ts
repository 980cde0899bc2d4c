import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MOST_COPIED, type AuditRecord } from '../../model/audit.js';
import type { MutationContext, MutationResource } from '../../model/mutation.js';
import { buildEntry, ORIGIN } from '../../testing/builders.js';
import { draws } from '../../testing/draws.js';
import {
  command,
  log,
  servers,
  start,
  until,
  useServers,
  type Running,
} from '../../testing/controller_rig.js';
import { must } from '../../testing/must.js';
import { createAuditStore } from '../../zookeeper/audit.js';
import { createOffice } from '../../zookeeper/epoch.js';
import { ZooKeeperLink } from '../../zookeeper/link.js';
import { systemClock as clock } from '../../clock.js';

useServers();

let stateDir: string;
beforeAll(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'ebbgate-many-'));
});
afterAll(() => {
  rmSync(stateDir, { recursive: true });
});

/** More than are copied, in the long run. */
const COUNT = draws(1_300, MOST_COPIED + 700);
const COPIED = Math.min(COUNT, MOST_COPIED);
const CONTEXT: MutationContext = {
  ...{ origin: ORIGIN, by: 'ann', services: '*', reason: 'disk died', dry_run: false, force: false },
  ...{ if_match: null, idempotency_key: null, expires_ms: null },
};

/** A record as long as those of usual changes: 1 KB. */
function recordOf(n: number): AuditRecord {
  const service = `s-${String(n % 200)}`;
  const changes = ['state', 'weight', 'traffic', 'down'].map((field) => {
    return { service, instance: '10.0.1.17:8080', field, from: 'something', to: 'something else' };
  });
  const entry = { services: [service], changes, reason: 'ticket 4711: the disk is slow', by: 'release-bot' };
  return { n, ...buildEntry({ ...entry, request_id: `request-${String(n)}` }) };
}

/** `COUNT` records in an audit of which no controller knows. */
async function fill(): Promise<void> {
  const link = new ZooKeeperLink({
    ...{ connect: `127.0.0.1:${String(servers.ports.zookeeper)}`, sessionTimeoutMs: 30_000 },
    ...{ log, clock, random: Math.random },
  });
  servers.opened.push({ [Symbol.asyncDispose]: () => link.close() });
  await link.start();
  await until(() => expect(link.connection).not.toBeNull());
  const term = await must(createOffice(link, { root: servers.root, owner: 'before' }).take(0));
  const audit = createAuditStore(link, { root: servers.root });
  await must(
    audit.restore(
      term,
      Array.from({ length: COUNT }, (_, at) => recordOf(at + 1)),
    ),
  );
}

function bytesOnDisk(): number {
  return readdirSync(stateDir)
    .filter((name) => name.startsWith('copy.audit-'))
    .reduce((sum, name) => sum + statSync(join(stateDir, name)).size, 0);
}

async function timed<T>(what: string, of: () => Promise<T>): Promise<T> {
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  const answer = await of();
  const { user, system } = process.cpuUsage(cpu);
  const took = (performance.now() - began).toFixed(0);
  console.info(`${what}: ${took} ms, ${((user + system) / 1_000).toFixed(0)} ms of CPU`);
  return answer;
}

async function written(running: Running, n: number): Promise<void> {
  const page = join(stateDir, `copy.audit-${String(Math.floor(n / 1_000))}.jsonl`);
  await until(async () => {
    expect(running.controller.readiness().ready).toBe(true);
    expect(await command('HGET', '{ebb}:copy:audit', 'last')).toBe(String(n));
    expect(readFileSync(page, 'utf8')).toContain(`"n":${String(n)},`);
  }, 60_000);
}

test('a long audit: each is copied once, in parts that hold nobody up, and all come back in order', async () => {
  await fill();
  const first = await start({ stateDir });
  await timed('first copy', () => written(first, COUNT));
  expect(Number(await command('HLEN', '{ebb}:copy:audit'))).toBe(COPIED + 2);
  console.info(
    `in Redis: ${String(await command('MEMORY', 'USAGE', '{ebb}:copy:audit', 'SAMPLES', '0'))} bytes`,
  );
  console.info(`on the disk: ${String(bytesOnDisk())} bytes`);
  expect(bytesOnDisk()).toBeLessThan(12_000_000);

  // One change writes one record more.
  const [disk, input] = [bytesOnDisk(), await netInput()];
  await must(first.controller.mutate({ kind: 'freeze_all' }, CONTEXT));
  await written(first, COUNT + 1);
  expect(bytesOnDisk() - disk).toBeLessThan(2_000);
  const sent = (await netInput()) - input;
  console.info(`sent to Redis for one change: ${String(sent)} bytes, with everything else of these seconds`);
  expect(sent).toBeLessThan(200_000);
  await first.close();

  servers.anotherInstallation();
  const second = await start({ stateDir });
  const { controller } = second;
  await until(() => expect(controller.readiness().data_loss).not.toBeNull());
  const restore = {
    ...({ kind: 'restore_copy', from: 'redis', which: 'newest', document: null, prune: false } as const),
  };
  const seen = await until(() =>
    timed('dry run', async () =>
      must(controller.mutate({ ...restore, diff: null }, { ...CONTEXT, dry_run: true })),
    ),
  );
  const { diff = null, changes } = seen as MutationResource;
  expect(changes).toContainEqual(expect.objectContaining({ field: 'audit', from: 'missing' }));
  await timed('restored', async () => must(controller.mutate({ ...restore, diff }, CONTEXT)));
  const document = JSON.parse(await timed('exported', () => must(controller.copy({ tokens: false })))) as {
    readonly audit: { readonly records: readonly AuditRecord[] };
  };
  const numbers = document.audit.records.map(({ n }) => n);
  const oldest = Math.max(1, COUNT + 3 - MOST_COPIED);
  expect(numbers).toEqual(Array.from({ length: COUNT + 3 - oldest }, (_, at) => oldest + at));
  expect(document.audit.records.slice(-2).map(({ verb }) => verb)).toEqual(['freeze_all', 'restore_copy']);
  expect(document.audit.records[0]).toMatchObject({ request_id: `request-${String(numbers[0])}` });
  await written(second, COUNT + 2);
}, 180_000);

async function netInput(): Promise<number> {
  const info = String(await command('INFO', 'stats'));
  return Number(/total_net_input_bytes:(\d+)/.exec(info)?.[1]);
}
