import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { hasEnded, type ReleaseOutcome } from '../control-plane/src/testkit.js';
import { measured } from './harness/measured.js';
import { releaseCalls } from './harness/release_calls.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import type { Streams } from './harness/streams.js';
import { until } from './harness/until.js';
import { startUpgrades, type StartVersion, type Upgrades } from './harness/upgrades.js';

/*
 * Releases in place under live traffic: a webhook stops the instances of a batch and starts the new version on the same
 * port, under the same id. Every test has a service of its own, with three ready instances of v1, and loses no request.
 */

const LONG = { timeoutMs: 60_000 };
/** Every phase in the long run; one drawn by the seed otherwise. */
const PHASES = ['applying', 'converging', 'draining', 'upgrading', 'warming', 'soaking'] as const;
const every = process.env['EBBGATE_LONG'] !== undefined;
const seed = Number(process.env['EBBGATE_SEED'] ?? Date.now() % 100_000);

const commands = mkdtempSync(join(tmpdir(), 'ebbgate-commands-'));
let platform: ControlledPlatform;
let upgrades: Upgrades;
let startVersion: StartVersion;
let tests = 0;
let service: string;
let traffic: Streams;
let ids: readonly string[];

const calls = releaseCalls(() => platform);
const { read, reached, ended, events } = calls;
const start = (body: object): Promise<string> => calls.start(service, { target: 'v2', ...body });

beforeAll(async () => {
  upgrades = await startUpgrades((instance) => startVersion(instance));
  const place = { EBBGATE_HOOKS: upgrades.url, EBBGATE_HOOK_COMMANDS: commands };
  platform = await ControlledPlatform.start({ env: place });
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  await upgrades[Symbol.asyncDispose]();
  rmSync(commands, { recursive: true });
});
beforeEach(async () => {
  service = `shop-${String((tests += 1))}`;
  const mine = service;
  startVersion = ({ port, version }) => platform.startInstance({ service: mine, port, version, wait: false });
  const started = await Promise.all([1, 2, 3].map(() => platform.startInstance({ service })));
  ids = started.map(({ id }) => id).sort();
  for (const instance of started) upgrades.add(instance);
  await platform.route(service, `/${service}`);
  // Some requests are slow, so that a drain has something to wait for.
  traffic = platform.traffic({ path: `/${service}?delay=0.05`, rate: 40 });
});
afterEach(async () => {
  await traffic.stop();
  await upgrades.idle();
});

const webhook = (more: object = {}): object => ({
  in_place: { webhook: { url: upgrades.url }, ...more },
  gates: { min_samples: 5, on_inconclusive: 'pass', latency: null },
});
const versions = async (): Promise<readonly string[]> =>
  Promise.all(ids.map(async (id) => (await platform.instance(id, service)).version));
/** Nothing failed, and nothing was open where something was stopped. */
async function lostNothing(): Promise<void> {
  expect(await traffic.stop()).toEqual([]);
  expect(upgrades.cut(service)).toEqual([]);
}
const keysOf = (id: string): readonly string[] => upgrades.acted.filter((key) => key.startsWith(`${id}/`));

test('v1 → v2, one instance after the other, under the same ids; and back by undo', async () => {
  const dry = await platform.call<ReleaseOutcome>('POST', `/v1/services/${service}/releases?dry_run=true`, {
    target: 'v2',
    ...webhook(),
  });
  expect(dry.body.plan).toMatchObject({
    steps: ids.map((id) => ({ instances: [id] })),
    rollback_to: 'v1',
    blockers: [],
  });
  expect(dry.body.plan.upgrade).toContain('webhook http://127.0.0.1');
  const id = await start(webhook({ soak: '1s' }));
  const batch = await reached(id, ({ phase }) => phase === 'draining' || phase === 'upgrading');
  expect(batch).toMatchObject({ strategy: 'in_place', step: 0, steps: 3, in_place: { upgrade: 'webhook' } });
  expect(batch.in_place?.instances).toHaveLength(1);
  expect((await platform.instance(ids[0] ?? '', service)).effective).toMatchObject({ state: 'draining' });
  const done = await ended(id, 'succeeded');
  expect(await versions()).toEqual(['v2', 'v2', 'v2']);
  expect(done).toMatchObject({ step: 3, steps: 3, shares: { wanted: {}, published: { v2: 100 } } });
  expect(keysOf(id)).toEqual([`${id}/0/1`, `${id}/1/1`, `${id}/2/1`]);
  expect(upgrades.calls.find(({ key }) => key === `${id}/0/1`)?.body).toMatchObject({
    ...{ release: id, service, step: 0, attempt: 1, from: 'v1', to: 'v2' },
    instances: [{ id: ids[0], host: '127.0.0.1', version: 'v1' }],
  });
  expect((await platform.service(service)).versions).toEqual({});
  const undone = await platform.cli('undo', service, '--wait', '--timeout', '60s');
  expect(undone, undone.stderr).toMatchObject({ code: 0 });
  expect(await versions()).toEqual(['v1', 'v1', 'v1']);
  await lostNothing();
});

test('by a command, which reads its order from standard input', async () => {
  // It hands the order to the same deployment tool; what it needs to know is in its environment.
  const script = `#!/usr/bin/env node
    const { EBBGATE_KEY: key, EBBGATE_IDS: ids } = process.env;
    const chunks = [];
    process.stdin.on('data', (chunk) => chunks.push(chunk)).on('end', async () => {
      const body = Buffer.concat(chunks).toString();
      if (JSON.parse(body).instances.map(({ id }) => id).join(' ') !== ids) process.exit(3);
      const headers = { 'idempotency-key': key };
      const { ok } = await fetch('${upgrades.url}', { method: 'POST', headers, body });
      process.exit(ok ? 0 : 4);
    });`;
  writeFileSync(join(commands, 'deploy'), script, { mode: 0o755 });
  const { gates } = webhook() as { readonly gates: object };
  const id = await start({ in_place: { command: { name: 'deploy' } }, gates });
  await ended(id, 'succeeded');
  expect(await versions()).toEqual(['v2', 'v2', 'v2']);
  expect(keysOf(id)).toEqual([`${id}/0/1`, `${id}/1/1`, `${id}/2/1`]);
  await lostNothing();
});

test('a v2 that dies on start is rolled back: what was upgraded comes back, and nothing is lost', async () => {
  const mine = service;
  startVersion = ({ id, port, version }) =>
    version === 'v2' && id !== ids[0]
      ? Promise.resolve(null)
      : platform.startInstance({ service: mine, port, version, wait: false });
  const began = performance.now();
  const id = await start(webhook({ upgrade_timeout: '3s' }));
  const release = await ended(id, 'rolled_back');
  measured(
    'in place: a version that dies on start → rolled back, two instances brought back',
    performance.now() - began,
  );
  expect(release.message).toContain(ids[1]);
  expect(release.message).toContain('not back with v2 within 3s');
  expect(await versions()).toEqual(['v1', 'v1', 'v1']);
  for (const one of ids)
    expect((await platform.instance(one, service)).effective, one).toMatchObject({ state: 'up' });
  await lostNothing();
});

test('a v2 that answers badly gets nothing any more at once, and is brought back', async () => {
  const mine = service;
  startVersion = ({ port, version }) =>
    platform.startInstance({
      service: mine,
      port,
      version,
      status: version === 'v2' ? 500 : 200,
      wait: false,
    });
  const id = await start(webhook({ soak: '10m' }));
  await until('v2 fails', () => traffic.failed().length > 0, LONG);
  const began = performance.now();
  const barred = await reached(id, ({ shares }) => shares.wanted['v1'] === 100 && shares.applied_on === 2);
  measured('in place: first failed request → a bad version gets nothing', performance.now() - began);
  expect(performance.now() - began).toBeLessThan(15_000);
  expect(barred.state).toMatch(/rolling_back|rolled_back/);
  const release = await ended(id, 'rolled_back');
  expect(release.message).toContain('fast gate');
  expect(await versions()).toEqual(['v1', 'v1', 'v1']);
  expect((await platform.service(service)).versions).toEqual({});
  // Every failure is an answer of v2: nothing was lost on the way back.
  const failed = await traffic.stop();
  expect(failed.every(({ status, error }) => status === 500 && error.includes('"v2"'))).toBe(true);
  expect(upgrades.cut(service)).toEqual([]);
});

test('v3 takes over from v2: what is drained stays so, and all of it becomes v3', async () => {
  const first = await start(webhook({ soak: '10m' }));
  await reached(first, ({ step, phase }) => step === 0 && phase === 'soaking');
  const second = await start({ ...webhook(), target: 'v3', supersede: true });
  expect(await read(first)).toMatchObject({ state: 'superseded' });
  const done = await ended(second, 'succeeded');
  expect(done).toMatchObject({ stable: 'v1', target: 'v3' });
  expect(await versions()).toEqual(['v3', 'v3', 'v3']);
  await lostNothing();
});

test('an instance that dies in the middle of its batch is upgraded all the same', async () => {
  const mine = service;
  const dead = ids[0] ?? '';
  const id = await start({ in_place: { upgrade_timeout: '60s' } });
  await reached(id, ({ phase }) => phase === 'upgrading');
  await upgrades.instances.get(dead)?.die();
  await until(`${dead} is gone`, async () => {
    const set = await platform.published(mine);
    return set.peers.every((peer) => peer.id !== dead || peer.state === 'gone');
  });
  expect((await read(id)).waiting_for.join()).toContain(`${dead}: to be registered with v2`);
  // A person upgrades all of them, each when its turn has come.
  const restart = async (one: string): Promise<void> => {
    await reached(
      id,
      (now) => now.in_place?.instances.some((x) => x.id === one && x.state === 'upgrading') === true,
    );
    const old = upgrades.instances.get(one);
    if (one !== dead) await old?.withdraw();
    await platform.startInstance({ service: mine, port: old?.port ?? 0, version: 'v2', wait: false });
  };
  for (const one of ids) await restart(one);
  await ended(id, 'succeeded');
  expect(await versions()).toEqual(['v2', 'v2', 'v2']);
  await lostNothing();
});

test("an operator's drain of another instance is: the release goes on without it", async () => {
  const id = await start(webhook({ soak: '1s' }));
  await reached(id, ({ phase }) => phase === 'upgrading' || phase === 'warming');
  const own = ids[2] ?? '';
  await platform.ended(await platform.drain(own, { service }));
  const done = await ended(id, 'succeeded');
  expect(done.message).toContain(own);
  expect(done.in_place?.left_out).toMatchObject([{ id: own }]);
  expect(await versions()).toEqual(['v2', 'v2', 'v1']);
  expect((await platform.instance(own, service)).effective).toMatchObject({ state: 'draining' });
  await lostNothing();
});

test('a pause outlives the controller, and resume goes on', async () => {
  const id = await start(webhook({ soak: '2s' }));
  await reached(id, ({ step, phase }) => step === 0 && phase === 'soaking');
  expect((await platform.call('POST', `/v1/releases/${id}/pause`, { reason: 'lunch' })).status).toBe(200);
  await platform.controller.restart();
  await platform.ready();
  expect(await read(id)).toMatchObject({ state: 'paused', step: 0, paused: { cause: 'person' } });
  expect(await versions()).toEqual(['v2', 'v1', 'v1']);
  expect((await platform.call('POST', `/v1/releases/${id}/resume`, {})).status).toBe(200);
  await ended(id, 'succeeded');
  expect(keysOf(id)).toHaveLength(3);
  await lostNothing();
});

test(`the controller is killed in phases (seed ${String(seed)}): every batch once, the same end, and nobody notices`, async () => {
  const moments = every
    ? ids.flatMap((_, batch) => PHASES.map((phase) => ({ phase, batch })))
    : draw(seed, 3).map((phase) => ({ phase, batch: 0 }));
  const id = await start(webhook({ soak: '1s' }));
  for (const { phase, batch } of moments) {
    const order = PHASES.findIndex((one) => one === phase);
    // A phase may be over before it is seen; then the next moment of the release will do.
    const seen = await reached(
      id,
      (now) =>
        hasEnded(now.state) ||
        now.step > batch ||
        (now.step === batch && PHASES.findIndex((one) => one === now.phase) >= order),
    );
    const [wanted, got] = [
      [phase, batch],
      [seen.phase, seen.step],
    ].map(([at, n]) => `${String(at)} of batch ${String(n)}`);
    process.stderr.write(`wanted ${wanted ?? ''}: killed in ${got ?? ''}\n`);
    await platform.controller.kill();
    const sent = traffic.total();
    await until('traffic goes on without a controller', () => traffic.total() > sent + 20, LONG);
    await platform.controller.start();
    await platform.ready();
  }
  const done = await ended(id, 'succeeded');
  expect(done.attempt).toBe(1);
  expect(await versions()).toEqual(['v2', 'v2', 'v2']);
  // Each batch was acted on once, whatever was repeated, and a repeat said the same.
  expect(keysOf(id)).toEqual([`${id}/0/1`, `${id}/1/1`, `${id}/2/1`]);
  for (const key of keysOf(id)) {
    const bodies = upgrades.calls.filter((call) => call.key === key).map(({ body }) => JSON.stringify(body));
    expect(new Set(bodies).size).toBe(1);
  }
  const begun = (await events(id))
    .filter(({ event }) => event === 'batch_begun')
    .map(({ message }) => message);
  expect(begun).toHaveLength(3);
  expect(new Set(begun).size).toBe(3);
  await lostNothing();
});

/** `count` of the phases, as the seed draws them, in the order in which they come. */
function draw(from: number, count: number): readonly string[] {
  const left: string[] = [...PHASES];
  let state = from;
  const drawn = Array.from({ length: count }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return left.splice(Math.floor((state / 2_147_483_648) * left.length), 1)[0] ?? '';
  });
  return PHASES.filter((phase) => drawn.includes(phase));
}
