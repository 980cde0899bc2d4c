import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { reservePort, inFlightKey } from '../control-plane/src/testkit.js';
import { startInstance, type Instance } from './harness/instance.js';
import { peer } from './harness/publish.js';
import { sendMany, startTraffic } from './harness/traffic.js';
import { until } from './harness/until.js';
import { hostOf, Workbench, type Answer } from './harness/workbench.js';

let bench: Workbench;
let service = '';
let named = 0;
const instances: Instance[] = [];

beforeAll(async () => {
  bench = await Workbench.start();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await Promise.all(instances.map((one) => one.stop()));
});

/** A fresh service with so many instances. */
async function fresh(count: number): Promise<readonly [Instance, ...Instance[]]> {
  service = `svc-${++named}`;
  const made = await Promise.all(Array.from({ length: count }, () => startInstance({ service })));
  instances.push(...made);
  return made as unknown as readonly [Instance, ...Instance[]];
}

function problemOf(answer: Answer): { code: string; status: number; request_id: string } {
  expect(answer.headers['content-type']).toBe('application/problem+json');
  const problem = JSON.parse(answer.text) as { code: string; status: number; request_id: string };
  expect(problem.status).toBe(answer.status);
  expect(problem.request_id).toMatch(/^[0-9a-f]{32}$/);
  expect(answer.headers['x-request-id']).toBe(problem.request_id);
  return problem;
}

/** A peer where nobody listens. */
async function deadPeer(): Promise<ReturnType<typeof peer>> {
  const port = await reservePort();
  return peer({ id: `127.0.0.1:${port}`, host: '127.0.0.1', port, version: 'v1' });
}

describe('routes and weights', () => {
  test('given a route, requests reach the service; without one they get 404, without an instance 503', async () => {
    const [one] = await fresh(1);
    await bench.serve(service, [peer(one)]);
    expect(JSON.parse((await bench.ask(service)).text)).toEqual({ service, version: 'v1', instance: one.id });
    const lost = await bench.ask('nobody');
    expect([lost.status, problemOf(lost).code]).toEqual([404, 'no_route']);
    await bench.serve(service, []);
    const empty = await bench.ask(service);
    expect([empty.status, problemOf(empty).code]).toEqual([503, 'no_instance']);
    await bench.serve(service, [peer(one)]);
    expect((await bench.ask(service)).status).toBe(200);
    await bench.acked(await bench.publishing.tombstone(service));
    expect((await bench.ask(service)).status).toBe(503);
  });

  test('weights 5/3/2 are obeyed within 1 % over 10,000 requests', async () => {
    const fleet = await fresh(3);
    await bench.serve(
      service,
      fleet.map((one, index) => peer(one, [5, 3, 2][index])),
    );
    const sent = await sendMany({ url: bench.gateway.url, host: hostOf(service), count: 10_000 });
    expect(sent.failed).toEqual([]);
    const shares = fleet.map((one) => (sent.instances.get(one.id) ?? 0) / sent.total());
    [0.5, 0.3, 0.2].forEach((share, index) => {
      expect(Math.abs(shares[index]! - share), shares.join(' ')).toBeLessThan(0.01);
    });
  });

  test('peers and weights change under traffic with the same processes and no failed request', async () => {
    const [one, two, three] = (await fresh(3)) as [Instance, Instance, Instance];
    await bench.serve(service, [peer(one)]);
    const before = [bench.gateway.pid, ...bench.gateway.workers()];
    const traffic = startTraffic({ url: bench.gateway.url, host: hostOf(service) });
    await bench.serve(service, [peer(one), peer(two), peer(three, 1)]);
    await until('all three are used', () => two.requests() > 5 && three.requests() > 0);
    await bench.serve(service, [peer(two, 1), peer(three, 100)]);
    // What was picked before the ack may still be on its way to the instance.
    await bench.heard('the first has nothing', ({ in_flight }) => !(`${service}|${one.id}` in in_flight));
    const left = one.requests();
    const seen = three.requests();
    await until('the third is used', () => three.requests() > seen + 50);
    await traffic.stop();
    expect(traffic.failed).toEqual([]);
    expect(one.requests() - left).toBeLessThanOrEqual(0);
    expect([bench.gateway.pid, ...bench.gateway.workers()]).toEqual(before);
  });
});

describe('zero means zero', () => {
  const OUT = [
    { weight: 0 },
    { weight: 100, state: 'draining' },
    { weight: 0, state: 'isolated', down: true },
    { weight: 100, down: true },
    { weight: 100, state: 'from_the_future' as 'up' },
  ] as const;

  test.each(OUT)('%j takes no new request, neither beside another nor alone', async (out) => {
    const [keeps, leaves] = (await fresh(2)) as [Instance, Instance];
    await bench.serve(service, [peer(keeps), peer(leaves)]);
    const traffic = startTraffic({ url: bench.gateway.url, host: hostOf(service) });
    await until('both are used', () => keeps.requests() > 20 && leaves.requests() > 20);
    const acked = await bench.serve(service, [peer(keeps), peer(leaves, out.weight, out)]);
    // What was picked before the ack may still be on its way; the heartbeat knows.
    const key = inFlightKey(service, leaves.id);
    await bench.heard(
      'none in flight',
      (beat) => beat.applied!.generation >= acked.generation && !beat.in_flight[key],
    );
    const [left, kept] = [leaves.requests(), keeps.requests()];
    await until('traffic went on', () => keeps.requests() > kept + 100);
    expect(leaves.requests()).toBe(left);
    await traffic.stop();
    expect(traffic.failed).toEqual([]);
    await bench.serve(service, [peer(keeps, out.weight, out), peer(leaves, out.weight, out)]);
    const total = keeps.requests() + leaves.requests();
    const refused = await sendMany({ url: bench.gateway.url, host: hostOf(service), count: 50 });
    expect([...refused.statuses]).toEqual([[503, 50]]);
    expect(keeps.requests() + leaves.requests()).toBe(total);
    await bench.serve(service, [peer(leaves, out.weight, out)]);
    expect(problemOf(await bench.ask(service)).code).toBe('no_instance');
  });
});

describe('in flight', () => {
  test('a slow request and a WebSocket are in the heartbeat until they end, and through a reload', async () => {
    const [one] = await fresh(1);
    await bench.serve(service, [peer(one)]);
    const key = inFlightKey(service, one.id);
    const slow = bench.ask(service, '/?delay=3');
    const socket = new WebSocket(`${bench.gateway.url.replace('http', 'ws')}/ws`, {
      headers: { host: hostOf(service) },
    });
    await once(socket, 'open');
    await bench.heard('two in flight', (beat) => beat.in_flight[key] === 2);
    const workers = bench.gateway.workers();
    await bench.gateway.reload();
    const drained = await bench.serve(service, [peer(one, 0, { state: 'draining' })]);
    const after = await bench.acked(drained);
    expect(after.in_flight[key]).toBe(2);
    await bench.heard('old and new workers', (beat) => beat.workers > workers.length);
    expect((await slow).status).toBe(200);
    await bench.heard('one in flight', (beat) => beat.in_flight[key] === 1, 1_500);
    socket.send('still here');
    expect(String((await once(socket, 'message'))[0])).toBe('still here');
    socket.close();
    await bench.heard('none in flight', (beat) => beat.in_flight[key] === undefined, 1_500);
    await until('the old workers are gone', () =>
      bench.gateway.workers().every((pid) => !workers.includes(pid)),
    );
  });

  test('a client that goes away is counted out', async () => {
    const [one] = await fresh(1);
    await bench.serve(service, [peer(one)]);
    const key = inFlightKey(service, one.id);
    const client = connect({ port: bench.place.port, host: '127.0.0.1' });
    client.write(`GET /?delay=20 HTTP/1.1\r\nHost: ${hostOf(service)}\r\n\r\n`);
    await bench.heard('one in flight', (beat) => beat.in_flight[key] === 1);
    client.destroy();
    await bench.heard('none in flight', (beat) => beat.in_flight[key] === undefined, 1_500);
  });
});

describe('retries', () => {
  test('a dead port: GET and POST are answered by another peer, none fails', async () => {
    const [alive] = await fresh(1);
    await bench.serve(service, [peer(alive), await deadPeer()]);
    const options = { url: bench.gateway.url, host: hostOf(service), count: 100 };
    const gets = await sendMany(options);
    const posts = await sendMany({ ...options, method: 'POST' });
    expect([gets.failed, posts.failed]).toEqual([[], []]);
    expect(alive.seen).toEqual(
      new Map([
        ['GET', 100],
        ['POST', 100],
      ]),
    );
    expect(
      (await bench.ask(service, '/echo', { method: 'POST', body: Buffer.alloc(3_000_000) })).status,
    ).toBe(200);
  });

  test('what was sent: GET goes to a peer not yet tried, POST is not replayed', async () => {
    const fleet = await fresh(2);
    await bench.serve(
      service,
      fleet.map((one) => peer(one)),
    );
    const count = (method: string): number[] => fleet.map((one) => one.seen.get(method) ?? 0);
    expect(problemOf(await bench.ask(service, '/cut')).code).toBe('instance_failed');
    expect(count('GET')).toEqual([1, 1]);
    expect((await bench.ask(service, '/cut', { method: 'POST', body: 'x' })).status).toBe(502);
    expect(count('POST').sort()).toEqual([0, 1]);
  });

  test('retries never reach a peer that is not eligible, nor more peers than the set allows', async () => {
    const [out, spare] = (await fresh(2)) as [Instance, Instance];
    await bench.serve(service, [await deadPeer(), await deadPeer(), peer(out, 100, { state: 'draining' })]);
    const failed = await sendMany({ url: bench.gateway.url, host: hostOf(service), count: 20 });
    expect([...failed.statuses]).toEqual([[502, 20]]);
    expect(out.requests()).toBe(0);
    // Without passive health, which would soon spare the dead one.
    const health = { max_fails: 0, fail_timeout_ms: 10_000 };
    await bench.serve(service, [await deadPeer(), peer(spare)], { retry: { tries: 1 }, health });
    const single = await sendMany({ url: bench.gateway.url, host: hostOf(service), count: 20 });
    // Each worker goes round by itself, so not exactly half of them.
    expect(single.statuses.get(502)).toBeGreaterThan(5);
    expect(single.statuses.get(502)! + spare.requests()).toBe(20);
  });

  test('a peer that is too slow is a 504 of the gateway, within its time', async () => {
    const [slow] = await fresh(1);
    const timeouts = { connect_ms: 500, send_ms: 1_000, read_ms: 300 };
    await bench.serve(service, [peer(slow)], { timeouts });
    const answer = await bench.ask(service, '/?delay=5');
    expect([answer.status, problemOf(answer).code]).toEqual([504, 'instance_timeout']);
  });
});

describe('what it shows', () => {
  test('/metrics has every series', async () => {
    const [one] = await fresh(1);
    await bench.serve(service, [peer(one, 100)]);
    await sendMany({ url: bench.gateway.url, host: hostOf(service), count: 10 });
    await bench.ask(service, '/?status=500');
    const slow = bench.ask(service, '/?delay=3');
    await bench.heard('in flight', (beat) => beat.in_flight[inFlightKey(service, one.id)] === 1);
    const series = async (): Promise<string> => (await bench.admin('/metrics')).text;
    const labels = `service="${service}",version="v1",instance="${one.id}"`;
    const text = await until('the counts', async () => {
      const now = await series();
      return now.includes(`ebbgate_requests_total{${labels},status="2xx"} 10`) && now;
    });
    expect(text).toContain(`ebbgate_requests_total{${labels},status="5xx"} 1`);
    expect(text).toMatch(
      new RegExp(
        `ebbgate_request_duration_seconds_bucket\\{service="${service}",version="v1",le="\\+Inf"\\} 11`,
      ),
    );
    expect(text).toContain(`ebbgate_in_flight{service="${service}",instance="${one.id}"} 1`);
    expect(text).toMatch(new RegExp(`ebbgate_set_generation\\{service="${service}"\\} \\d+`));
    // All that the page of metrics names, with or without a sample.
    const page = readFileSync(new URL('../docs/reference/metrics.md', import.meta.url), 'utf8');
    const [, named = ''] = page.split(/^## Of a (?:gateway|controller)$/m);
    const names = [...named.matchAll(/^\| `(ebbgate_[a-z_]+)` +\| (\w+)/gm)];
    expect(names.length).toBeGreaterThan(15);
    for (const [, name, type] of names) expect(text).toContain(`# TYPE ${name} ${type}\n`);
    for (const dict of ['sets', 'inflight', 'metrics', 'state', 'health']) {
      expect(text).toMatch(new RegExp(`^ebbgate_shared_dict_free_bytes\\{dict="ebb_${dict}"\\} \\d+$`, 'm'));
      expect(named).toContain(`\`ebb_${dict}\``);
    }
    for (const name of [
      'applied_epoch',
      'applied_generation',
      'applied_age_seconds',
      'workers',
      'rejected_sets',
    ])
      expect(text).toMatch(new RegExp(`^ebbgate_${name} [0-9.]+$`, 'm'));
    await slow;
  });

  test('/metrics names no service that is gone', async () => {
    const [one] = await fresh(1);
    await bench.serve(service, [peer(one), await deadPeer()]);
    await sendMany({ url: bench.gateway.url, host: hostOf(service), count: 20 });
    const named = async (): Promise<readonly string[]> =>
      (await bench.admin('/metrics')).text.split('\n').filter((line) => line.includes(`"${service}"`));
    await until('its series', async () => (await named()).length > 10);
    await bench.acked(await bench.publishing.tombstone(service));
    expect((await bench.ask(service)).status).toBe(503);
    await until('its series are gone', async () => (await named()).length === 0, { timeoutMs: 40_000 });
    // It may come back, and counts from 0.
    await bench.serve(service, [peer(one)]);
    await sendMany({ url: bench.gateway.url, host: hostOf(service), count: 7 });
    await until('its series are back', async () =>
      (await named()).some((line) => line.endsWith('instance="' + one.id + '",status="2xx"} 7')),
    );
  });

  test('the access log shows service, instances tried, tries and times of each request', async () => {
    const [alive] = await fresh(1);
    const dead = await deadPeer();
    await bench.serve(service, [peer(alive, 1), { ...dead, weight: 1_000_000 }]);
    const answer = await bench.ask(service, '/a%20b?secret=1');
    const line = await until('its line', () => {
      const lines = readFileSync(bench.gateway.accessLog, 'utf8').split('\n');
      return lines.find((one) => one.includes(String(answer.headers['x-request-id'])));
    });
    expect(JSON.parse(line)).toMatchObject({
      request_id: answer.headers['x-request-id'],
      client: '127.0.0.1',
      host: hostOf(service),
      method: 'GET',
      path: '/a b',
      status: 200,
      service,
      instances: `${dead.id}, ${alive.id}`,
      tries: 2,
      upstream_status: '502, 200',
    });
    expect(line).not.toContain('secret');
    // The page of the log names what is in a line, and nothing else.
    const page = readFileSync(new URL('../docs/reference/access-log.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| (`[^|]+`) +\|/gm)].map(([, members = '']) => members);
    const named = rows.flatMap((members) => [...members.matchAll(/`(\w+)`/g)].map(([, name]) => name));
    expect(named).toEqual(Object.keys(JSON.parse(line) as object));
  });
});
