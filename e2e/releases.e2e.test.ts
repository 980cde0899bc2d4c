import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  hasEnded,
  type ReleaseEvent,
  type ReleaseOutcome,
  type ReleaseResource,
} from '../control-plane/src/testkit.js';
import { measured } from './harness/measured.js';
import { releaseCalls } from './harness/release_calls.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import type { Streams } from './harness/streams.js';
import { until } from './harness/until.js';
import { readZnode, writeZnode } from './harness/znode.js';

/*
 * Weighted releases under live traffic: instances of the new version come up beside the old ones. Every test has a service of
 * its own, with two ready instances of v1.
 */

const LONG = { timeoutMs: 60_000 };
let platform: ControlledPlatform;
let tests = 0;
let service: string;
let traffic: Streams;

const calls = releaseCalls(() => platform);
const { read, reached, ended } = calls;
const start = (body: object): Promise<string> => calls.start(service, body);

beforeAll(async () => {
  platform = await ControlledPlatform.start();
});
afterAll(() => platform[Symbol.asyncDispose]());
beforeEach(async () => {
  service = `shop-${String((tests += 1))}`;
  await Promise.all([platform.startInstance({ service }), platform.startInstance({ service })]);
  await platform.route(service, `/${service}`);
  traffic = platform.traffic({ path: `/${service}`, rate: 60 });
});
afterEach(() => traffic.stop());

/** Two instances of v2, which take requests only once their version has a share. */
async function join(status = 200): Promise<void> {
  for (let n = 0; n < 2; n += 1)
    await platform.startInstance({ service, version: 'v2', status, wait: false });
}
const answeredBy = (version: string): number => traffic.answeredBy(version);

test('v1 → v2 by steps: nothing before the first one, a person in the middle, everything at the end, and back', async () => {
  const steps = [{ weight: 20 }, { pause: {} }, { weight: 50 }, { pause: '2s' }, { weight: 100 }];
  const id = await start({ target: 'v2', steps, gates: { min_samples: 20 }, reason: 'new prices' });
  const waiting = await reached(id, ({ state }) => state === 'preparing');
  expect(waiting.shares.wanted).toEqual({ v1: 100 });
  await join();
  const paused = await reached(id, ({ state }) => state === 'paused');
  expect(paused).toMatchObject({
    step: 1,
    paused: { cause: 'step' },
    shares: { wanted: { v1: 80, v2: 20 } },
  });
  // The second instance of v2 may come after the pause began: then the same shares are published once more.
  const applied = await reached(id, ({ shares }) => shares.applied_on === 2);
  expect(applied.shares).toMatchObject({ published: { v1: 80, v2: 20 }, applied_on: 2, gateways: 2 });
  const [v1, v2] = [answeredBy('v1'), answeredBy('v2')];
  await until('traffic is split', () => answeredBy('v1') + answeredBy('v2') - v1 - v2 >= 400, LONG);
  const share = (answeredBy('v2') - v2) / (answeredBy('v1') + answeredBy('v2') - v1 - v2);
  expect(share).toBeGreaterThan(0.1);
  expect(share).toBeLessThan(0.3);
  expect(
    await platform.call('PATCH', `/v1/services/${service}/versions`, { v1: 100 }, { 'if-match': '*' }),
  ).toMatchObject({
    status: 409,
    body: { code: 'conflict' },
  });
  // Two people promote the step that they see: one step.
  const promote = { expected_step: 1, reason: 'looks well' };
  const promoted = await Promise.all(
    [1, 2].map(() => platform.call<ReleaseOutcome>('POST', `/v1/releases/${id}/promote`, promote)),
  );
  expect(promoted.map((one) => one.status)).toEqual([200, 200]);
  expect(promoted.filter((one) => one.body.changed)).toHaveLength(1);
  const done = await ended(id, 'succeeded');
  expect(done.shares).toMatchObject({ wanted: { v2: 100 }, published: { v2: 100 } });
  const begun = (await platform.call<{ items: ReleaseEvent[] }>('GET', `/v1/releases/${id}/events`)).body
    .items;
  expect(begun.filter((one) => one.event === 'step_begun')).toHaveLength(4);
  // It stays so when the release is over, and undo brings v1 back.
  expect(await platform.service(service)).toMatchObject({
    versions: { v2: 100 },
    effective_shares: { v2: 100 },
  });
  const after = answeredBy('v1');
  const before = answeredBy('v2');
  await until('v2 alone', () => answeredBy('v2') > before + 100, LONG);
  expect(answeredBy('v1')).toBe(after);
  const undone = await platform.cli('undo', service, '--wait', '--timeout', '60s');
  expect(undone, undone.stderr).toMatchObject({ code: 0 });
  expect((await platform.service(service)).effective_shares).toEqual({ v1: 100 });
  const history = await platform.cli('release', 'history', service, '-o', 'json');
  expect(JSON.parse(history.stdout)).toMatchObject({
    items: [
      { target: 'v1', state: 'succeeded', by: 'ann' },
      { target: 'v2', state: 'succeeded', reason: 'new prices' },
    ],
  });
  expect(await traffic.stop()).toEqual([]);
});

test('a v2 that fails is rolled back by the fast gate, and what it costs is bounded', async () => {
  const id = await start({ target: 'v2', steps: [{ weight: 20 }, { pause: '10m' }] });
  await join(500);
  await reached(id, ({ shares }) => shares.wanted['v2'] === 20);
  await until('v2 fails', () => traffic.failed().length > 0, LONG);
  const began = performance.now();
  const release = await ended(id, 'rolled_back');
  const took = performance.now() - began;
  measured('first failed request of a bad version → rolled back on every gateway', took);
  expect(release.message).toContain('fast gate');
  expect(took).toBeLessThan(15_000);
  expect((await platform.service(service)).effective_shares).toEqual({ v1: 100 });
  const failed = traffic.streams.reduce((sum, one) => sum + (one.statuses.get(500) ?? 0), 0);
  const sent = traffic.total();
  await until('it goes on without failures', () => traffic.total() > sent + 150, LONG);
  expect(traffic.streams.reduce((sum, one) => sum + (one.statuses.get(500) ?? 0), 0)).toBe(failed);
  // Its share of 300 requests per second, for as long as it took; every failure was its own.
  expect(failed).toBeLessThan(0.3 * 300 * (took / 1_000 + 2));
  expect(traffic.failed().every(({ status }) => status === 500)).toBe(true);
  const exit = await platform.cli('release', 'watch', id);
  expect(exit.code).toBe(3);
});

test('the controller is killed again and again: every step once, the same end, and nobody notices', async () => {
  const steps = [{ weight: 10 }, { pause: '2s' }, { weight: 50 }, { pause: '2s' }, { weight: 100 }];
  const id = await start({
    target: 'v2',
    steps,
    gates: { min_samples: 10, on_inconclusive: 'pass', latency: null },
  });
  await join();
  const moments: readonly ((release: ReleaseResource) => boolean)[] = [
    ({ phase }) => phase !== null,
    ({ step, phase }) => step === 1 && phase === 'soaking',
    ({ step }) => step >= 2,
  ];
  for (const moment of moments) {
    await reached(id, (now) => moment(now) || hasEnded(now.state));
    await platform.controller.kill();
    const sent = traffic.total();
    await until('traffic goes on without a controller', () => traffic.total() > sent + 50, LONG);
    await platform.controller.start();
    await platform.ready();
  }
  const done = await ended(id, 'succeeded');
  expect(done.attempt).toBe(1);
  const { body } = await platform.call<{ items: ReleaseEvent[] }>('GET', `/v1/releases/${id}/events`);
  const begun = body.items
    .filter((one) => one.event === 'step_begun')
    .map((one) => one.message.split(':')[0]);
  expect(begun).toHaveLength(5);
  expect(new Set(begun).size).toBe(5);
  expect((await platform.service(service)).effective_shares).toEqual({ v2: 100 });
  expect(await traffic.stop()).toEqual([]);
});

test('v3 takes the place of v2, from its shares and back to v1; a version whose last instance dies gives its share back', async () => {
  const first = await start({ target: 'v2', steps: [{ weight: 20 }, { pause: {} }] });
  await join();
  await reached(first, ({ state }) => state === 'paused');
  const again = { target: 'v3', steps: [{ weight: 50 }, { pause: {} }] };
  const refused = await platform.call('POST', `/v1/services/${service}/releases`, again);
  expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } });
  const second = await start({ ...again, supersede: true });
  expect(await read(first)).toMatchObject({ state: 'superseded' });
  expect((await read(second)).shares.wanted).toEqual({ v1: 80, v2: 20 });
  const third = await platform.startInstance({ service, version: 'v3', wait: false });
  const paused = await reached(second, ({ state }) => state === 'paused');
  expect(paused).toMatchObject({ stable: 'v1', shares: { wanted: { v1: 40, v2: 10, v3: 50 } } });
  await third.withdraw();
  await reached(
    second,
    ({ shares }) => shares.published['v1'] === 90 && shares.published['v3'] === undefined,
  );
  const back = await platform.call<ReleaseOutcome>('POST', `/v1/releases/${second}/rollback`, {
    reason: 'enough',
  });
  expect(back.status).toBe(200);
  await ended(second, 'rolled_back');
  expect((await platform.service(service)).effective_shares).toEqual({ v1: 100 });
  // The instance took its registration away and closed at once: what was under way to it was tried elsewhere.
  expect(await traffic.stop()).toEqual([]);
});

test('a record that this controller cannot read moves nothing, and says so', async () => {
  const id = await start({ target: 'v2', steps: [{ weight: 30 }, { pause: {} }] });
  await join();
  await reached(id, ({ state }) => state === 'paused');
  await platform.controller.kill();
  const path = `/ebbgate/releases/${service}/current`;
  const good = await readZnode(platform.ports.zookeeper, path);
  await writeZnode(
    platform.ports.zookeeper,
    path,
    JSON.stringify({ ...(JSON.parse(good) as object), v: 99 }),
  );
  await platform.controller.start();
  await platform.ready();
  const refused = await platform.call('POST', `/v1/services/${service}/releases`, {
    target: 'v2',
    supersede: true,
  });
  expect(refused).toMatchObject({ status: 409 });
  expect(JSON.stringify(refused.body)).toContain('schema 99');
  const [v1, v2] = [answeredBy('v1'), answeredBy('v2')];
  await until('traffic goes on', () => answeredBy('v1') - v1 > 100 && answeredBy('v2') - v2 > 20, LONG);
  expect((await platform.service(service)).effective_shares).toEqual({ v1: 70, v2: 30 });
  await writeZnode(platform.ports.zookeeper, path, good);
  await reached(id, ({ state }) => state === 'paused');
  expect((await platform.call('POST', `/v1/releases/${id}/abort`, {})).status).toBe(200);
  await ended(id, 'cancelled');
  expect(await traffic.stop()).toEqual([]);
});

test('a start that would leave too few instances is refused, and says so before', async () => {
  for (let n = 0; n < 2; n += 1) await platform.startInstance({ service, version: 'v2' });
  const spec = `/v1/services/${service}`;
  const reported = await platform.call('PATCH', spec, { min_available: 3 }, { 'if-match': '*' });
  expect(reported.status, JSON.stringify(reported.body)).toBe(200);
  const path = `/v1/services/${service}/releases`;
  const body = { target: 'v2', stable: 'v1', steps: [{ weight: 100 }] };
  const too_few = '2 ready instances would have a share, and min_available asks for 3';
  expect(await platform.call('POST', `${path}?dry_run=true`, body)).toMatchObject({
    status: 409,
    body: { code: 'guard_refused', blockers: [too_few] },
  });
  expect(await platform.call('POST', path, body)).toMatchObject({
    status: 409,
    body: { code: 'guard_refused', blockers: [too_few] },
  });
  expect(await platform.call('POST', path, { ...body, force: true })).toMatchObject({ status: 400 });
  const key = { 'idempotency-key': service };
  const forced = { ...body, force: true, reason: 'night' };
  expect(await platform.call('POST', path, forced, key)).toMatchObject({ status: 202 });
  expect(await platform.call('POST', path, forced, key)).toMatchObject({ body: { changed: false } });
  expect(await platform.call('POST', path, { ...forced, target: 'v3' }, key)).toMatchObject({
    body: { code: 'idempotency_conflict' },
  });
});
