import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkedSet, conditionOf, gaps } from './harness/checked_service.js';
import { FaultyInstance } from './harness/faulty_instance.js';
import { peer } from './harness/publish.js';
import { sendMany, type Traffic } from './harness/traffic.js';
import { neverWithin, until, untilValue } from './harness/until.js';
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

const many = (count: number): Promise<Traffic> =>
  sendMany({ url: bench.gateway.url, host: hostOf(service), count });

/** Resolves once the gateway reports that condition of the instance. */
const becomes = (one: FaultyInstance, condition: string | RegExp): Promise<string> =>
  untilValue(
    `${one.id} ${String(condition)}`,
    () => conditionOf(bench, one),
    (now) => (typeof condition === 'string' ? now === condition : condition.test(now)),
  );

describe('checks', () => {
  test('by HTTP take out and bring back, without any traffic, and only where somebody could be used', async () => {
    const [sick, well, away] = await fresh(3);
    await bench.serve(
      service,
      [peer(sick), peer(well), peer(away, 100, { state: 'isolated', down: true })],
      checkedSet(),
    );
    sick.checkMode = 'failing';
    await becomes(sick, 'failing: 2 checks failed: status 500');
    expect((await many(40)).instances).toEqual(new Map([[well.id, 40]]));
    const metrics = (await bench.admin('/metrics')).text;
    expect(metrics).toMatch(new RegExp(`ebbgate_probes_total{service="${service}",result="pass"} \\d`));
    expect(metrics).toMatch(new RegExp(`ebbgate_probes_total{service="${service}",result="fail"} \\d`));
    expect(metrics).toContain(`{service="${service}",instance="${sick.id}",state="failing"} 1`);
    sick.checkMode = 'hanging';
    const before = sick.checks.length;
    await until('a check hangs', () => sick.checks.length > before);
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
    await bench.serve(service, [peer(sick), peer(well)], checkedSet({ type: 'tcp' }));
    await until('it is asked', () => sick.connections > 2);
    expect(await conditionOf(bench, sick)).toBe('healthy');
    await sick.refuse();
    await becomes(sick, 'failing: 2 checks failed: connection refused');
    await sick.listen();
    await becomes(sick, 'healthy');
    expect(sick.requests.length + sick.checks.length).toBe(0);
  });

  test('look at the status and for a word in the body', async () => {
    const [one] = await fresh(1);
    await bench.serve(service, [peer(one)], checkedSet({ statuses: [[500, 500]], body: one.id }));
    one.checkMode = 'failing';
    await until('checks', () => one.checks.length > 5);
    expect(await conditionOf(bench, one)).toBe('healthy');
    await bench.serve(service, [peer(one)], checkedSet({ statuses: [[500, 500]], body: 'no such word' }));
    await becomes(one, 'failing: 2 checks failed: the body does not have it');
    // Without checks nothing is known any more.
    await bench.serve(service, [peer(one)], { health: { max_fails: 0, fail_timeout_ms: 10_000 } });
    await becomes(one, 'healthy');
    one.forget();
    await neverWithin(600, 'it is checked', () => one.checks.length > 0);
  });

  test('by HTTPS where requests would go by it, whoever signed the certificate', async () => {
    const [cert, key] = [join(bench.dir, 'check.pem'), join(bench.dir, 'check.key')];
    const made = ['-subj', '/CN=anybody', '-days', '2', '-keyout', key, '-out', cert];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...made], { stdio: 'ignore' });
    service = `checked-${++named}`;
    const one = await FaultyInstance.start(service, { cert: readFileSync(cert), key: readFileSync(key) });
    started.push(one);
    const timed = checkedSet({ timeout_ms: 2_000 });
    await bench.serve(service, [peer(one)], { ...timed, upstream: { scheme: 'https' } });
    await until('it is asked', () => one.checks.length > 2);
    expect(await conditionOf(bench, one)).toBe('healthy');
    await bench.serve(service, [peer(one)], timed);
    await becomes(one, /^failing: 2 checks failed: /);
  });

  test('come from one worker, through reloads and kills: none is doubled, and they go on', async () => {
    const [one] = await fresh(1);
    await bench.serve(service, [peer(one)], checkedSet({ interval_ms: 400 }));
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
    expect(await conditionOf(bench, one)).toBe('healthy');
  });
});

describe('a suspect with checks', () => {
  test('is used until the first of them fails, and again only when they pass; panic does not bring it back', async () => {
    const [lost, well] = await fresh(2);
    const peers = [peer(lost, 100, { state: 'suspect' }), peer(well)];
    // The worker that checks says it first; the others know at their next look.
    const onlyWell = () =>
      until('every worker knows', async () => {
        const { instances } = await many(40);
        return instances.size === 1 && instances.get(well.id) === 40;
      });
    lost.checkMode = 'failing';
    await bench.serve(
      service,
      peers,
      checkedSet({ fall: 50, interval_ms: 1_000 }, { max_ejected_percent: 0 }),
    );
    await becomes(lost, 'failing: a check failed: status 500');
    await onlyWell();
    well.checkMode = 'failing';
    await bench.serve(service, peers, checkedSet({ fall: 1 }, { max_ejected_percent: 0 }));
    await becomes(well, /^failing/);
    await onlyWell();
    lost.checkMode = 'well';
    await becomes(lost, 'healthy');
    expect((await many(40)).instances.get(lost.id)).toBeGreaterThan(10);
  });
});
