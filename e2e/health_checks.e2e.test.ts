import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Health, HealthCheck, Heartbeat, ServiceSet } from '../control-plane/src/testkit.js';
import { FaultyInstance } from './harness/faulty_instance.js';
import { peer } from './harness/publish.js';
import { sendMany, type Traffic } from './harness/traffic.js';
import { until, untilValue } from './harness/until.js';
import { hostOf, Workbench } from './harness/workbench.js';

let bench: Workbench;
let service = '';
let named = 0;
const started: FaultyInstance[] = [];

beforeAll(async () => {
  // A set that names TLS to instances is refused by a gateway that has no profile for it.
  bench = await Workbench.start({ upstream_tls: ['default,server_name=checked.internal'] });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await Promise.all(started.map((one) => one.refuse()));
});

async function fresh(count: number): Promise<readonly [FaultyInstance, FaultyInstance, FaultyInstance]> {
  service = `checked-${++named}`;
  const made = await Promise.all(Array.from({ length: count }, () => FaultyInstance.start(service)));
  started.push(...made);
  return made as unknown as readonly [FaultyInstance, FaultyInstance, FaultyInstance];
}

const CHECK: HealthCheck = {
  type: 'http',
  path: '/health',
  interval_ms: 200,
  timeout_ms: 300,
  rise: 2,
  fall: 2,
};

/** A set whose requests eject nobody: only checks do. */
function set(check: Partial<HealthCheck> = {}, more: Partial<Health> = {}): Partial<ServiceSet> {
  return { health: { max_fails: 0, fail_timeout_ms: 10_000, check: { ...CHECK, ...check }, ...more } };
}

const many = (count: number): Promise<Traffic> =>
  sendMany({ url: bench.gateway.url, host: hostOf(service), count });

type Reported = Heartbeat & {
  readonly health?: Readonly<Record<string, { readonly state: string; readonly reason: string }>>;
};

async function conditionOf(one: FaultyInstance): Promise<string> {
  const beat: Reported | null = await bench.publishing.heartbeat('gw-1');
  const reported = beat?.health?.[`${service}|${one.id}`];
  return reported === undefined ? 'healthy' : `${reported.state}: ${reported.reason}`;
}

/** Resolves once the gateway reports that condition of the instance. */
const becomes = (one: FaultyInstance, condition: string | RegExp): Promise<string> =>
  untilValue(
    `${one.id} ${String(condition)}`,
    () => conditionOf(one),
    (now) => (typeof condition === 'string' ? now === condition : condition.test(now)),
  );

/** Milliseconds between one check and the next. */
const gaps = (one: FaultyInstance): number[] =>
  one.checks.slice(1).map(({ at }, i) => at - one.checks[i]!.at);

describe('checks', () => {
  test('by HTTP take out and bring back, without any traffic, and only where somebody could be used', async () => {
    const [sick, well, away] = await fresh(3);
    await bench.serve(
      service,
      [peer(sick), peer(well), peer(away, 100, { state: 'isolated', down: true })],
      set(),
    );
    sick.checkMode = 'failing';
    await becomes(sick, 'failing: 2 checks failed: status 500');
    expect((await many(40)).instances).toEqual(new Map([[well.id, 40]]));
    const metrics = (await bench.admin('/metrics')).text;
    expect(metrics).toMatch(new RegExp(`ebbgate_probes_total{service="${service}",result="pass"} \\d`));
    expect(metrics).toMatch(new RegExp(`ebbgate_probes_total{service="${service}",result="fail"} \\d`));
    expect(metrics).toContain(`{service="${service}",instance="${sick.id}",state="failing"} 1`);
    sick.checkMode = 'hanging';
    await pause(500);
    sick.checkMode = 'well';
    await becomes(sick, 'healthy');
    const sent = await many(100);
    expect(sent.failed).toEqual([]);
    expect(sent.instances.get(sick.id)).toBeGreaterThan(30);
    expect(away.checks.length).toBe(0);
    // All of them failing is panic: somebody is asked.
    sick.checkMode = well.checkMode = 'failing';
    await becomes(sick, /^failing/);
    await becomes(well, /^failing/);
    expect((await many(20)).failed).toEqual([]);
  });

  test('by TCP', async () => {
    const [sick, well] = await fresh(2);
    await bench.serve(service, [peer(sick), peer(well)], set({ type: 'tcp' }));
    await until('it is asked', () => sick.connections > 2);
    expect(await conditionOf(sick)).toBe('healthy');
    await sick.refuse();
    await becomes(sick, 'failing: 2 checks failed: connection refused');
    await sick.listen();
    await becomes(sick, 'healthy');
    expect(sick.requests.length + sick.checks.length).toBe(0);
  });

  test('look at the status and for a word in the body', async () => {
    const [one] = await fresh(1);
    await bench.serve(service, [peer(one)], set({ statuses: [[500, 500]], body: one.id }));
    one.checkMode = 'failing';
    await until('checks', () => one.checks.length > 5);
    expect(await conditionOf(one)).toBe('healthy');
    await bench.serve(service, [peer(one)], set({ statuses: [[500, 500]], body: 'no such word' }));
    await becomes(one, 'failing: 2 checks failed: the body does not have it');
    // Without checks nothing is known any more.
    await bench.serve(service, [peer(one)], { health: { max_fails: 0, fail_timeout_ms: 10_000 } });
    await becomes(one, 'healthy');
    one.forget();
    await pause(600);
    expect(one.checks.length).toBe(0);
  });

  test('by HTTPS where requests would go by it, whoever signed the certificate', async () => {
    const [cert, key] = [join(bench.dir, 'check.pem'), join(bench.dir, 'check.key')];
    const made = ['-subj', '/CN=anybody', '-days', '2', '-keyout', key, '-out', cert];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...made], { stdio: 'ignore' });
    service = `checked-${++named}`;
    const one = await FaultyInstance.start(service, { cert: readFileSync(cert), key: readFileSync(key) });
    started.push(one);
    const timed = set({ timeout_ms: 2_000 });
    await bench.serve(service, [peer(one)], { ...timed, upstream: { scheme: 'https' } });
    await until('it is asked', () => one.checks.length > 2);
    expect(await conditionOf(one)).toBe('healthy');
    await bench.serve(service, [peer(one)], timed);
    await becomes(one, /^failing: 2 checks failed: /);
  });

  test('of forty targets that hang delay no other', async () => {
    const [hanging, well] = await fresh(2);
    hanging.checkMode = 'hanging';
    const crowd = Array.from({ length: 40 }, (_, i) => peer({ ...point(hanging), id: `hang-${i}` }));
    await bench.serve(service, [...crowd, peer(well)], set({ timeout_ms: 2_000, interval_ms: 500 }));
    await until('all of them are known', () => hanging.checks.length >= 60, { timeoutMs: 30_000 });
    well.forget();
    await pause(4_000);
    expect(well.checks.length).toBeGreaterThanOrEqual(6);
    expect(Math.max(...gaps(well))).toBeLessThan(1_500);
  });

  test('of 2,000 instances every second are kept up with', async () => {
    const [fast] = await fresh(1);
    const crowd = Array.from({ length: 2_000 }, (_, i) => peer({ ...point(fast), id: `fast-${i}` }));
    const checked = set({ type: 'tcp', interval_ms: 1_000, timeout_ms: 900 });
    await bench.serve(service, crowd, checked);
    await until('each was asked', () => fast.connections > 2_000);
    const [began, before] = [performance.now(), fast.connections];
    await until('six seconds of checks', () => fast.connections > before + 12_000, { timeoutMs: 40_000 });
    const perSecond = 12_000 / ((performance.now() - began) / 1_000);
    // A third is for machines that have something else to do.
    expect(perSecond).toBeGreaterThan(1_300);
    expect(await conditionOf(fast)).toBe('healthy');
    await bench.serve(service, [], checked);
  });

  test('come from one worker, through reloads and kills: none is doubled, and they go on', async () => {
    const [one] = await fresh(1);
    await bench.serve(service, [peer(one)], set({ interval_ms: 400 }));
    await until('checks', () => one.checks.length > 3);
    one.forget();
    const began = Date.now();
    for (let i = 0; i < 3; i++) {
      await bench.gateway.reload();
      const seen = one.checks.length;
      await until('checks after the reload', () => one.checks.length > seen + 1);
      for (const worker of bench.gateway.workers()) {
        process.kill(worker, 'SIGKILL');
        const before = one.checks.length;
        await until('checks after the kill', () => one.checks.length > before + 1);
      }
    }
    const elapsed = Date.now() - began;
    expect(one.checks.length).toBeLessThanOrEqual(elapsed / 360 + 2);
    // One that was late may be followed by one in time; never two at once.
    expect(Math.min(...gaps(one))).toBeGreaterThan(150);
    expect(await conditionOf(one)).toBe('healthy');
  });
});

describe('a suspect with checks', () => {
  test('is used until the first of them fails, and again only when they pass; panic does not bring it back', async () => {
    const [lost, well] = await fresh(2);
    const peers = [peer(lost, 100, { state: 'suspect' }), peer(well)];
    lost.checkMode = 'failing';
    await bench.serve(service, peers, set({ fall: 50, interval_ms: 1_000 }, { max_ejected_percent: 0 }));
    await becomes(lost, 'failing: a check failed: status 500');
    expect((await many(40)).instances).toEqual(new Map([[well.id, 40]]));
    well.checkMode = 'failing';
    await bench.serve(service, peers, set({ fall: 1 }, { max_ejected_percent: 0 }));
    await becomes(well, /^failing/);
    expect((await many(40)).instances).toEqual(new Map([[well.id, 40]]));
    lost.checkMode = 'well';
    await becomes(lost, 'healthy');
    expect((await many(40)).instances.get(lost.id)).toBeGreaterThan(10);
  });
});

/** Where it is, under whatever name. */
function point({ host, port, version }: FaultyInstance): { host: string; port: number; version: string } {
  return { host, port, version };
}
