import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ReleaseOutcome } from '../control-plane/src/testkit.js';
import {
  drawMoments,
  EVERY_MOMENT,
  STOPPED_PHASES,
  Staged,
  WEIGHTS,
  type Moment,
  type StoppedPhase,
} from './harness/phases.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { startCli } from './harness/cli.js';
import { until } from './harness/until.js';

/*
 * A weighted release under faults: whatever dies, restarts or is said twice, every step begins once, the end is the one that was
 * asked for, and steady traffic loses no request. EBBGATE_SEED draws the phases in which the controller is killed; the long run
 * kills it in every phase of every step.
 */

const every = process.env.EBBGATE_LONG === '1';
const seed = Number(process.env.EBBGATE_SEED ?? Date.now() % 1_000_000);
const LONG = { timeoutMs: 60_000 };
let platform: ControlledPlatform;
const stages: Staged[] = [];
let services = 0;

beforeAll(async () => {
  platform = await ControlledPlatform.start();
});
afterAll(() => platform[Symbol.asyncDispose]());

// What a test that failed left frozen, killed or under traffic is not the next one's.
afterEach(async () => {
  for (const server of [platform.zookeeper, platform.redis, platform.controller, ...platform.gateways])
    if (server.running()) server.thaw();
    else await server.start();
  await Promise.all(stages.splice(0).map(({ traffic }) => traffic.stop()));
  await platform.ready();
}, 60_000);

async function stage(): Promise<Staged> {
  const staged = await Staged.create(platform, `shop-${String((services += 1))}`);
  stages.push(staged);
  return staged;
}
const lostNothing = async ({ traffic }: Staged): Promise<void> => {
  expect(await traffic.stop()).toEqual([]);
};
async function begunOnce(staged: Staged): Promise<void> {
  const events = await staged.events();
  const begun = events.filter(({ event }) => event === 'step_begun').map(({ message }) => message);
  expect(new Set(begun).size).toBe(begun.length);
  for (const [n, weight] of WEIGHTS.entries())
    expect(
      begun.filter((one) => one.includes(`{weight: ${String(weight)}}`)),
      `weight ${String(n)}`,
    ).toHaveLength(1);
  expect(events.map(({ n }) => n)).toEqual(events.map((_, index) => index + 1));
}

async function restartController(staged: Staged): Promise<void> {
  await platform.controller.kill();
  await staged.served(20);
  platform.redis.thaw();
  await platform.controller.start();
  await platform.ready();
}

async function killedIn(moment: Moment): Promise<void> {
  const staged = await stage();
  const letGo = await staged.stopAt(moment);
  const before = await staged.read();
  await restartController(staged);
  const after = await staged.read();
  expect(after.id).toBe(before.id);
  // What has it there has it still, but for a soak and for Redis, which goes on before the controller can start.
  const goesOn = moment.phase === 'soaking' || moment.phase === 'applying';
  if (goesOn) expect(after.step).toBeGreaterThanOrEqual(before.step);
  else expect(after).toMatchObject({ step: before.step, state: before.state, phase: before.phase });
  expect(after.attempt).toBe(1);
  await letGo();
  await staged.ended('succeeded');
  await begunOnce(staged);
  expect((await platform.service(staged.service)).effective_shares).toEqual({ v2: 100 });
  await lostNothing(staged);
}

const killed = every ? EVERY_MOMENT : drawMoments(seed, 2);
test.each(killed.map((moment) => [moment.phase, WEIGHTS[moment.weight], moment] as const))(
  `the controller is killed while it is %s at %d % (seed ${String(seed)})`,
  (_phase, _weight, moment) => killedIn(moment),
);

test.each([
  ['finalizing', 'skip', 'succeeded', { v2: 100 }],
  ['rolling_back', 'rollback', 'rolled_back', { v1: 100 }],
] as const)('the controller is killed while it is %s', async (state, verb, end, shares) => {
  const staged = await stage();
  // A gateway is stopped: both ways to an end wait for it.
  await staged.stopAt({ phase: 'converging', weight: 2 });
  const { step } = await staged.read();
  await staged.verb(verb, { reason: 'e2e', ...(verb === 'skip' ? { expected_step: step } : {}) });
  await staged.reached((now) => now.state === state);
  await restartController(staged);
  expect((await staged.read()).state).toBe(state);
  platform.gateways[1]?.thaw();
  await staged.ended(end);
  await begunOnce(staged);
  expect((await platform.service(staged.service)).effective_shares).toEqual(shares);
  await lostNothing(staged);
});

test('Redis is flushed, ZooKeeper starts again, a gateway starts again: one release goes through all of it', async () => {
  const staged = await stage();
  const steps = [{ weight: 20 }, { pause: '2s' }, { weight: 60 }, { pause: '2s' }, { weight: 100 }];
  const gates = { min_samples: 10, on_inconclusive: 'pass', latency: null, fast: false };
  await staged.start({ target: 'v2', steps, gates });
  await staged.joinAll();
  await staged.reached(({ step, phase }) => step === 1 && phase === 'soaking');
  await platform.data.flushall();
  await staged.served(40);
  await platform.zookeeper.restart();
  await staged.reached(({ step }) => step >= 2);
  await platform.gateways[1]?.restart();
  await staged.ended('succeeded');
  await begunOnce(staged);
  expect((await platform.service(staged.service)).effective_shares).toEqual({ v2: 100 });
  // The one that started again obeys as well.
  const second = platform.traffic({ path: `/${staged.service}` }, platform.gateways.slice(1));
  await until('the other gateway serves', () => second.total() > 60, LONG);
  expect(await second.stop()).toEqual([]);
  expect([...(second.streams[0]?.versions.keys() ?? [])]).toEqual(['v2']);
  await lostNothing(staged);
});

test('the last instance of the target dies in mid-step: its share goes back at once, and the release fails by its deadline', async () => {
  const staged = await stage();
  const gates = { fast: false };
  await staged.start({ target: 'v2', steps: [{ weight: 40 }, { pause: '10m' }], gates, deadline: '3s' });
  const only = await staged.join();
  await staged.reached(({ phase }) => phase === 'soaking');
  await until('v2 answers', () => staged.traffic.answeredBy('v2') > 20, LONG);
  await only.die();
  await staged.ended('failed');
  expect((await platform.service(staged.service)).effective_shares).toEqual({ v1: 100 });
  await staged.served(40);
  await lostNothing(staged);
});

test('a pause outlives the controller; two clients that promote one step make one step; a watch goes on through it', async () => {
  const staged = await stage();
  const id = await staged.start({ target: 'v2', steps: [{ weight: 20 }, { pause: '10m' }, { weight: 100 }] });
  const watch = startCli(['release', 'watch', id, '--timeout', '90s'], platform.env);
  await staged.joinAll();
  await staged.reached(({ phase }) => phase === 'soaking');
  await until('the watch is there', () => watch.stdout() !== '', LONG);
  await staged.verb('pause', { reason: 'lunch' });
  await restartController(staged);
  expect(await staged.read()).toMatchObject({
    ...{ state: 'paused', step: 1, paused: { cause: 'person', by: 'local' } },
    shares: { wanted: { v1: 80, v2: 20 } },
  });
  const short = await platform.cli('release', 'watch', id, '--timeout', '1s');
  expect(short, short.stderr).toMatchObject({ code: 4 });
  await staged.verb('resume');
  await staged.reached(({ phase }) => phase === 'soaking');
  const promoted = await Promise.all(
    [1, 2, 3].map(() =>
      platform.call<ReleaseOutcome>('POST', `/v1/releases/${id}/promote`, { expected_step: 1 }),
    ),
  );
  expect(promoted.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(promoted.filter(({ body }) => body.changed)).toHaveLength(1);
  await staged.ended('succeeded');
  const events = await staged.events();
  expect(events.filter(({ event }) => event === 'promoted')).toHaveLength(1);
  const watched = await watch.ended;
  expect(watched, watched.stderr).toMatchObject({ code: 0 });
  expect(watched.stderr).toContain('the control API is back');
  // Nothing that happened is missing, whatever happened while the API was away.
  const from = watched.stdout.split('\n').filter((line) => /^\d{4}-/.test(line));
  expect(from.map((line) => line.split('  ')[0])).toEqual(events.slice(-from.length).map(({ at }) => at));
  expect(from.length).toBeGreaterThan(5);
  await lostNothing(staged);
});

test('aborted in every phase: v1 alone again, each time', async () => {
  const abortedIn = async (phase: StoppedPhase): Promise<void> => {
    const staged = await stage();
    await staged.stopAt({ phase, weight: phase === 'preparing' ? 0 : 1 });
    if (phase !== 'preparing') expect((await staged.read()).shares.wanted).not.toEqual({ v1: 100 });
    await staged.verb('abort', { reason: phase });
    platform.redis.thaw();
    platform.gateways[1]?.thaw();
    await staged.ended('cancelled');
    expect((await platform.service(staged.service)).effective_shares).toEqual({ v1: 100 });
    await staged.served(10);
    await lostNothing(staged);
  };
  // Some are kept by a server that is frozen, which would keep the others as well.
  const byServer: readonly StoppedPhase[] = ['applying', 'converging', 'warming'];
  await Promise.all(STOPPED_PHASES.filter((phase) => !byServer.includes(phase)).map(abortedIn));
  for (const phase of byServer) await abortedIn(phase);
});

test('superseded at every step: from the shares in force, and back to v1', async () => {
  // The last one keeps it from ending before it is superseded.
  const steps = [...WEIGHTS.flatMap((weight) => [{ weight }, { pause: '2s' }]).slice(0, -1), { pause: {} }];
  const gates = { min_samples: 1, on_inconclusive: 'pass', errors: null, latency: null, fast: false };
  const supersededAt = async (step: number): Promise<void> => {
    const staged = await stage();
    const first = await staged.start({ target: 'v2', steps, gates });
    await staged.joinAll();
    await staged.reached((now) => now.step >= step && now.state !== 'preparing' && now.state !== 'pending');
    await staged.start({ target: 'v3', steps: [{ weight: 50 }, { pause: {} }], gates, supersede: true });
    const [old, next] = [await staged.read(first), await staged.read()];
    expect(old.state).toBe('superseded');
    expect(next).toMatchObject({ stable: 'v1', shares: { wanted: old.shares.wanted } });
    await staged.join('v3');
    const paused = await staged.reached(({ state }) => state === 'paused');
    expect(paused.shares.wanted['v3']).toBe(50);
    await staged.verb('rollback', { reason: 'enough' });
    await staged.ended('rolled_back');
    expect((await platform.service(staged.service)).effective_shares).toEqual({ v1: 100 });
    await lostNothing(staged);
  };
  await Promise.all(steps.map((_, step) => supersededAt(step)));
});

test('while a service is frozen nothing starts and no step begins; going back goes on', async () => {
  const staged = await stage();
  const steps = [{ weight: 20 }, { pause: {} }];
  const freeze = ['freeze', staged.service, '--reason', 'payday', '--expires', '2h'];
  expect(await platform.cli(...freeze)).toMatchObject({ code: 0 });
  const refused = await platform.cli('release', 'start', staged.service, 'v2');
  expect(refused).toMatchObject({ code: 5 });
  expect(refused.stderr).toMatch(/is frozen by ann until .*: payday/);
  const seen = await platform.cli('get', 'intents');
  expect(seen.stdout).toMatch(new RegExp(`${staged.service} +- +freeze +frozen +ann .*payday`));
  expect((await platform.cli('unfreeze', staged.service)).code).toBe(0);
  await staged.start({ target: 'v2', steps });
  await staged.join();
  await staged.reached(({ state }) => state === 'paused');
  // The freeze of everything outlives the controller, as that of one service does.
  expect((await platform.cli('freeze', '--all', '--reason', 'payday')).code).toBe(0);
  await restartController(staged);
  const kept = await platform.call('POST', `/v1/releases/${staged.id}/promote`, { expected_step: 1 });
  expect(kept).toMatchObject({ status: 409, body: { code: 'guard_refused' } });
  expect(JSON.stringify(kept.body)).toContain('everything is frozen by ann: payday');
  expect((await platform.cli('describe', 'service', staged.service)).stdout).toMatch(/Frozen: +with all/);
  await staged.verb('abort');
  await staged.ended('cancelled');
  expect((await platform.cli('unfreeze', '--all')).code).toBe(0);
  // A plan that was looked at, and is another one now, is not begun.
  const plan = await platform.call<ReleaseOutcome>(
    'POST',
    `/v1/services/${staged.service}/releases?dry_run=true`,
    { target: 'v2' },
  );
  const late = await staged.join();
  await until('it is seen', async () => (await platform.instance(late.id, staged.service)).registered);
  const start = ['release', 'start', staged.service, 'v2', '--plan', plan.body.plan.hash];
  const other = await platform.cli(...start);
  expect(other, other.stderr).toMatchObject({ code: 6 });
  expect(other.stderr).toContain('the instances (now v1 2, v2 2)');
  await lostNothing(staged);
});
