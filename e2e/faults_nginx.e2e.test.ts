import { once } from 'node:events';
import { readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Heartbeat } from '../control-plane/src/testkit.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { openRequest, openSocket } from './harness/open_request.js';
import { measured } from './harness/measured.js';
import { ControlledPlatform, type ControlledGateway } from './harness/controlled_platform.js';
import { statusOf } from './harness/platform.js';
import { sendMany } from './harness/traffic.js';
import { until } from './harness/until.js';

let platform: ControlledPlatform;
let one: RegisteredInstance;
let two: RegisteredInstance;
let first: ControlledGateway;
let second: ControlledGateway;

beforeAll(async () => {
  platform = await ControlledPlatform.start();
  [one, two] = await Promise.all([platform.startInstance(), platform.startInstance()]);
  await platform.route();
  [first, second] = platform.gateways as [ControlledGateway, ControlledGateway];
});
afterAll(() => platform[Symbol.asyncDispose]());

const setsOf = (gateway: ControlledGateway): string => join(gateway.place.dir, 'state', 'sets');

async function inFlight(gateway: string): Promise<number | null | undefined> {
  return (await platform.instance(one.id)).in_flight[gateway];
}

/** The number of its newest heartbeat. */
async function lastHeartbeat({ id }: ControlledGateway): Promise<number> {
  const text = await platform.data.get(`{ebb}:gw:${id}`);
  return (JSON.parse(text!) as Heartbeat).seq;
}

async function readiness(gateway: ControlledGateway): Promise<number> {
  return statusOf(`${gateway.adminUrl}/readyz`);
}

/** Writes that failed, as its metrics report. */
async function diskErrors(gateway: ControlledGateway): Promise<number> {
  const metrics = await request(`${gateway.adminUrl}/metrics`);
  return Number(/kind="disk"\} (\d+)/.exec(await metrics.body.text())?.[1] ?? 0);
}

/** What a gateway says is wrong with it: by the controller, and by its own pages. */
async function problems(gateway: ControlledGateway): Promise<readonly string[]> {
  const found = (await platform.fleet()).find(({ id }) => id === gateway.id);
  return found?.problems.map(({ kind }) => kind) ?? [];
}
async function adminText(gateway: ControlledGateway, path: string): Promise<string> {
  return (await request(`${gateway.adminUrl}${path}`)).body.text();
}

/** Which instances answer `count` requests through the gateway; every one of them must be answered with 200. */
async function answering(gateway: ControlledGateway, count = 60): Promise<readonly string[]> {
  const sent = await sendMany({ url: gateway.url, count });
  expect(sent.failed).toEqual([]);
  return [...sent.instances.keys()].sort();
}

test('reloaded during a drain, old workers with a slow request and a WebSocket: the count stays true', async () => {
  await using traffic = platform.traffic({ path: '/reloaded', resends: true });
  const slow = await openRequest(first.url, one);
  const socket = await openSocket(first.url, one);
  const id = await platform.drain(one.id);
  await until('both are counted', async () => (await inFlight('gateway-1')) === 2);
  const old = first.process.workers();
  await first.process.reload();
  expect(first.process.workers().filter((pid) => old.includes(pid)).length).toBeGreaterThan(0);
  await until('both are counted after the reload', async () => (await inFlight('gateway-1')) === 2);
  expect((await platform.operation(id)).state).toBe('running');
  expect(await slow.end()).toBe(200);
  await until('the WebSocket alone is counted', async () => (await inFlight('gateway-1')) === 1);
  expect((await platform.operation(id)).waiting_for).toEqual(['gateway gateway-1 still has 1 open request']);
  const echoed = once(socket, 'message');
  socket.send('still here');
  expect(String((await echoed)[0])).toBe('still here');
  socket.close();
  expect(await platform.ended(id)).toMatchObject({ result: 'drained' });
  await until('the old workers are gone', () => !first.process.workers().some((pid) => old.includes(pid)));
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
  // What was sent again had come to no instance: none was cut while an instance had it.
  const arrived = [one, two].flatMap(({ arrivals }) => arrivals.filter(({ url }) => url === '/reloaded'));
  expect(arrived).toHaveLength(traffic.total());
});

test('one worker killed -9 during a drain: its own requests go with it, the rest is counted to its end', async () => {
  await using traffic = platform.traffic({}, [first]);
  const SENT = 12;
  // Workers take connections as they please: again, until both of them have some.
  for (let attempt = 0; ; attempt += 1) {
    const kept = await Promise.all(Array.from({ length: SENT }, () => openRequest(second.url, one)));
    const id = await platform.drain(one.id);
    await until('all are counted', async () => (await inFlight('gateway-2')) === SENT);
    const victim = second.process.workers()[attempt % 2];
    process.kill(victim!, 'SIGKILL');
    await until('a new worker', () => {
      const workers = second.process.workers();
      return workers.length === 2 && !workers.includes(victim!);
    });
    // Counts of before are the instance's own until the new worker's heartbeats say otherwise.
    const seq = await lastHeartbeat(second);
    await until('two heartbeats since', async () => (await lastHeartbeat(second)) >= seq + 2);
    const open = (): number =>
      one.arrivals.filter(({ url, ended }) => url.includes('open=') && ended === null).length;
    const { count } = await until('the count is that of the instance', async () => {
      const now = await inFlight('gateway-2');
      return now === open() && { count: now };
    });
    if (count > 0) expect((await platform.operation(id)).state).toBe('running');
    const statuses = await Promise.all(kept.map((one) => one.end()));
    expect(statuses.filter((status) => status === 200)).toHaveLength(count);
    expect(await platform.ended(id)).toMatchObject({ result: 'drained' });
    expect(open()).toBe(0);
    await platform.undrain(one.id);
    if (count > 0 && count < SENT) break;
    expect(attempt).toBeLessThan(8);
  }
  expect(await traffic.stop()).toEqual([]);
});

test('killed -9 as a whole and started again with Redis away: its disk serves, and keeps drained instances out', async () => {
  expect(await platform.ended(await platform.drain(one.id))).toMatchObject({ result: 'drained' });
  const before = one.requests();
  await using traffic = platform.traffic({}, [first]);
  await platform.redis.kill();
  await second.restart();
  expect(await answering(second)).toEqual([two.id]);
  expect(await readiness(second)).toBe(200);
  expect(one.requests()).toBe(before);
  await platform.redis.start();
  await platform.ready();
  await until('both are on the newest sets', async () => (await platform.service()).convergence?.converged);
  await platform.undrain(one.id);
  expect(await answering(second)).toEqual([one.id, two.id].sort());
  expect(await traffic.stop()).toEqual([]);
});

test('started with an empty disk and Redis away: 503 and not ready, then it heals by itself', async () => {
  await using traffic = platform.traffic({}, [first]);
  await platform.redis.kill();
  await second.restart(() => {
    rmSync(join(second.place.dir, 'state'), { recursive: true });
  });
  const answer = await request(second.url);
  expect([answer.statusCode, await answer.body.json()]).toMatchObject([503, { code: 'not_ready' }]);
  expect(await readiness(second)).toBe(503);
  await platform.redis.start();
  const back = performance.now();
  await until('it is ready', async () => (await readiness(second)) === 200);
  measured('gateway with an empty disk, Redis back → ready', performance.now() - back);
  expect(await answering(second)).toEqual([one.id, two.id].sort());
  await platform.converged();
  expect(await traffic.stop()).toEqual([]);
});

test('a disk that cannot be written: traffic obeys, nothing is claimed to be safe, and it heals by itself', async () => {
  await using traffic = platform.traffic();
  const sets = setsOf(second);
  renameSync(sets, `${sets}.away`);
  writeFileSync(sets, 'no folder'); // for root, too, no file can be made below it
  // The disk is tried while no set changes, so that nobody learns of it by a drain.
  await until('the problem is reported', async () => (await problems(second)).includes('disk'));
  expect(await problems(first)).toEqual([]);
  expect(await readiness(second)).toBe(200);
  expect(JSON.parse(await adminText(second, '/readyz'))).toMatchObject({ problems: [{ kind: 'disk' }] });
  expect(await adminText(second, '/metrics')).toContain('ebbgate_problem{kind="disk"} 1');
  const id = await platform.drain(one.id);
  await until('the set is in force', async () => {
    const before = one.requests();
    expect(await answering(second)).toBeDefined();
    return one.requests() === before;
  });
  // An ack survives a crash; without a disk it would not, so there is none.
  await until('only that gateway is waited for', async () => {
    const { waiting_for } = await platform.operation(id);
    return (
      waiting_for.length === 1 &&
      /^gateway gateway-2 is at .* and has not acked .*\(disk: .+\)$/.test(waiting_for[0] ?? '')
    );
  });
  expect(await diskErrors(second)).toBeGreaterThan(0);
  rmSync(sets);
  renameSync(`${sets}.away`, sets);
  expect(await platform.ended(id)).toMatchObject({ result: 'drained' });
  expect(readFileSync(join(sets, 'shop.set'), 'utf8')).toContain('"draining"');
  await until('the problem is over', async () => (await problems(second)).length === 0);
  expect(await adminText(second, '/metrics')).toContain('ebbgate_problem{kind="disk"} 0');
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});

test('a disk that is full: the write fails halfway, nothing is acked or left behind, and the next one mends it', async () => {
  await using traffic = platform.traffic();
  const sets = setsOf(second);
  // What is written to /dev/full fails with ENOSPC, as late as on a real disk: when the buffer is flushed.
  for (const pid of second.process.workers())
    symlinkSync('/dev/full', join(sets, `.shop.${String(pid)}.tmp`));
  const before = await diskErrors(second);
  const id = await platform.drain(one.id);
  await until('the failure is counted', async () => (await diskErrors(second)) > before);
  expect(await platform.ended(id)).toMatchObject({ result: 'drained' });
  expect(readFileSync(join(sets, 'shop.set'), 'utf8')).toContain('"draining"');
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});

test.each([
  ['truncated', (text: string) => text.slice(0, text.length - 40)],
  [
    'tampered with',
    (text: string) => text.replace('"draining"', '"up"').replace('"weight":0', '"weight":100'),
  ],
  ['given a later position', (text: string) => text.replace(/^(ebbgate-set \d) \d+/, '$1 9999999999')],
  ['empty', () => ''],
])('a snapshot file that was %s is left out; Redis mends it', async (_, damage) => {
  expect(await platform.ended(await platform.drain(one.id))).toMatchObject({ result: 'drained' });
  const before = one.requests();
  await using traffic = platform.traffic({}, [first]);
  await platform.redis.kill();
  const file = join(setsOf(second), 'shop.set');
  const good = readFileSync(file, 'utf8');
  expect(damage(good)).not.toBe(good);
  await second.restart(() => {
    writeFileSync(file, damage(good));
  });
  expect(await statusOf(second.url)).toBe(503);
  await platform.redis.start();
  await until('it serves again', async () => (await statusOf(second.url)) === 200);
  await platform.ready();
  await platform.converged();
  expect(await answering(second)).toEqual([two.id]);
  expect(one.requests()).toBe(before);
  expect(readFileSync(file, 'utf8')).toContain('"draining"');
  await platform.undrain(one.id);
  expect(await traffic.stop()).toEqual([]);
});
