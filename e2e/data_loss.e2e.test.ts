import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type {
  MutationResource,
  IntentResource,
  ProtectionResource,
  ReadinessResource,
  ServiceEvent,
} from '../control-plane/src/testkit.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { statusOf } from './harness/platform.js';
import type { Run } from './harness/cli.js';
import { until } from './harness/until.js';

/*
 * ZooKeeper loses everything, under live traffic: nothing moves until a person has decided, and then what it contains counts.
 */

const stateDir = mkdtempSync(join(tmpdir(), 'ebbgate-state-'));
let platform: ControlledPlatform;
let instances: readonly RegisteredInstance[];

beforeAll(async () => {
  platform = await ControlledPlatform.start({
    env: { EBBGATE_SETTLE: '6s', EBBGATE_STATE_DIR: stateDir },
  });
  instances = await Promise.all([1, 2, 3].map(() => platform.startInstance({ wait: false })));
  await until('all three are in use', async () => (await platform.service()).instances.eligible === 3);
  await platform.route();
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(stateDir, { recursive: true, force: true });
});

const cli = (...args: readonly string[]): Promise<Run> => platform.cli(...args);
/** Accepts as a person would: again while ZooKeeper, which has just come back, does not answer (exit 7). */
const accept = (...more: readonly string[]): Promise<Run> =>
  until('ZooKeeper answers', async () => {
    const run = await cli('accept-data-loss', '--reason', 'disk died, no backup', ...more);
    return run.code !== 7 && run;
  });
const protection = async (): Promise<ProtectionResource> =>
  (await platform.call<ProtectionResource>('GET', '/v1/protection')).body;
const readiness = async (): Promise<ReadinessResource> =>
  (await platform.call<ReadinessResource>('GET', '/readyz')).body;
const eventsOf = async (service = 'shop'): Promise<readonly ServiceEvent[]> =>
  (await platform.call<{ readonly items: readonly ServiceEvent[] }>('GET', `/v1/services/${service}/events`))
    .body.items;
const epoch = async (): Promise<number> => Number(await platform.data.hget('{ebb}:meta', 'epoch'));

/** ZooKeeper starts again with an empty disk. */
async function wipe(): Promise<void> {
  await platform.zookeeper.restart(() => {
    rmSync(join(platform.dir, 'zookeeper', 'data'), { recursive: true });
  });
}

async function suspended(): Promise<string> {
  const { data_loss } = await until('the data loss is named', async () => {
    const now = await protection();
    return now.data_loss !== null && now;
  });
  return data_loss ?? '';
}

/** Every instance has registered itself again: a dry run names none. */
async function registeredAgain(): Promise<void> {
  await until(
    'all instances have registered again',
    async () => {
      const { status, body } = await platform.call<MutationResource>(
        'POST',
        '/v1/protection/accept_data_loss?dry_run=true',
        { reason: 'look' },
      );
      return status === 200 && body.changes.every(({ field }) => field !== 'registration');
    },
    { timeoutMs: 30_000 },
  );
}

test('there is nothing to accept while nothing is lost', async () => {
  const refused = await platform.call('POST', '/v1/protection/accept_data_loss', { reason: 'try' });
  expect(refused).toMatchObject({ status: 409, body: { code: 'no_data_loss' } });
  await until(
    'the stores have reported the time',
    async () => (await protection()).expiry_suspended === null,
  );
  expect(await protection()).toEqual({ data_loss: null, expiry_suspended: null, services: [] });
  expect(await accept('--yes')).toMatchObject({ code: 6 });
});

test('wiped: all is stopped and says so; accepted with the intents kept, no request fails from first to last', async () => {
  const [isolated] = instances;
  const path = `/v1/services/shop/instances/${encodeURIComponent(isolated!.id)}/isolate`;
  expect(await platform.call('POST', path, { reason: 'it lies' })).toMatchObject({ status: 200 });
  await platform.converged();
  const from = isolated!.requests();
  const [published, before] = [await platform.published(), await epoch()];
  await using traffic = platform.traffic();

  await wipe();
  expect(await suspended()).toMatch(/lost data.*ebbgate accept-data-loss/);
  expect(await readiness()).toMatchObject({
    ready: false,
    zookeeper: { state: 'degraded' },
    data_loss: expect.stringMatching(/lost data/) as string,
  });
  const metrics = await fetch(`http://127.0.0.1:${platform.ports.api}/metrics`);
  expect(await metrics.text()).toMatch(/^ebbgate_controller_data_loss 1$/m);
  expect(await platform.call('POST', path.replace('isolate', 'restore'), {})).toMatchObject({
    status: 503,
    body: { code: 'not_ready' },
  });
  await registeredAgain();
  expect(await platform.published()).toEqual(published);

  const looked = await accept();
  expect(looked).toMatchObject({ code: 2 });
  expect(looked.stdout).toMatch(/routes: \[\{"host":"\*","path":"\/"\}\] → \[\]/);
  expect(looked.stdout).toMatch(new RegExp(`${isolated!.id}  state: isolated → up`));
  expect(looked.stderr).toMatch(/--keep-intents keeps them/);
  expect(await platform.published()).toEqual(published);

  const accepted = await accept('--keep-intents', '--yes');
  expect(accepted).toMatchObject({ code: 0 });
  await platform.ready();
  await platform.converged();
  expect(await protection()).toMatchObject({ data_loss: null });
  expect(await epoch()).toBeGreaterThan(before);
  expect(await platform.published()).toEqual(published);
  expect((await platform.fleet()).map(({ id, in_roster, state }) => [id, in_roster, state])).toEqual([
    ['gateway-1', true, 'live'],
    ['gateway-2', true, 'live'],
  ]);
  expect(await platform.instance(isolated!.id)).toMatchObject({
    intent: { by: expect.any(String), reason: 'it lies' },
  });
  expect(await eventsOf()).toContainEqual(
    expect.objectContaining({
      event: 'data_loss_accepted',
      by: 'ann',
      message: expect.stringMatching(/disk died, no backup.*no intent is lost/) as string,
    }),
  );
  const [, drained] = instances;
  expect(await platform.ended(await platform.drain(drained!.id))).toMatchObject({ result: 'drained' });
  await platform.undrain(drained!.id);
  expect(await traffic.stop()).toEqual([]);
  expect(isolated!.requests()).toBe(from);
});

test('wiped while no controller runs: the next one finds it, keeps what the sets report, and an instance that is gone goes', async () => {
  const [, , dead] = instances;
  const before = await platform.published();
  await using traffic = platform.traffic();
  await platform.controller.kill();
  await dead!.die();
  await wipe();
  await platform.controller.start();
  expect(await suspended()).toMatch(/epoch \d+, which ZooKeeper does not remember/);
  await until('the two that live have registered again', async () => {
    const { body } = await platform.call<MutationResource>(
      'POST',
      '/v1/protection/accept_data_loss?dry_run=true',
      { reason: 'look' },
    );
    const lost = body.changes.filter(({ field }) => field === 'registration');
    return lost.length === 1 && lost[0]?.instance === dead!.id;
  });
  expect(await platform.published()).toEqual(before);
  expect(await accept('--keep-intents', '--yes')).toMatchObject({ code: 0 });
  await platform.ready();
  await until('the dead one has gone after the settle time, the others are as they were', async () => {
    const { peers } = await platform.published();
    expect(peers.length).toBeGreaterThanOrEqual(2);
    return (
      peers.length === 2 &&
      JSON.stringify(peers) === JSON.stringify(before.peers.filter((p) => p.id !== dead!.id))
    );
  });
  expect(await platform.call('GET', '/v1/intents')).toMatchObject({
    body: {
      items: [expect.objectContaining({ kind: 'isolated', reason: 'recalled from the published set' })],
    },
  });
  expect(await traffic.stop()).toEqual([]);
});

test('accepted without the intents: they are reported as lost, the sets equal the registrations, and a person gives them back', async () => {
  const [isolated] = instances;
  await wipe();
  await suspended();
  await registeredAgain();
  const accepted = await accept('--yes', '-o', 'json');
  expect(accepted).toMatchObject({ code: 0 });
  const outcome = JSON.parse(accepted.stdout) as MutationResource;
  expect(outcome).toMatchObject({ dry_run: false, published: true });
  expect(outcome.changes).toContainEqual({
    service: 'shop',
    instance: isolated!.id,
    field: 'state',
    from: 'isolated',
    to: 'up',
  });
  await platform.converged();
  await until('the set equals the registrations', async () =>
    (await platform.published()).peers.every(({ state, weight }) => state === 'up' && weight === 100),
  );
  expect((await platform.published()).peers.map(({ id }) => id)).toEqual(
    instances
      .slice(0, 2)
      .map(({ id }) => id)
      .sort(),
  );
  const reported = (await eventsOf()).filter(({ event }) => event === 'data_loss_accepted');
  expect(reported.map(({ message }) => message)).toEqual([
    expect.stringMatching(/disk died, no backup.*isolated → up.*routes .* → \[\]/),
  ]);
  for (const { url } of platform.gateways) expect(await statusOf(url)).toBe(404);

  await platform.route();
  expect(
    await cli('isolate', '-s', 'shop', isolated!.id, '--reason', 'it still lies', '--wait'),
  ).toMatchObject({
    code: 0,
  });
  const { body } = await platform.call<{ readonly items: readonly IntentResource[] }>('GET', '/v1/intents');
  expect(body.items).toMatchObject([{ instance: isolated!.id, kind: 'isolated', by: 'ann' }]);
  await using traffic = platform.traffic();
  const from = isolated!.requests();
  await until('requests flow', () => traffic.total() > 100);
  expect(await traffic.stop()).toEqual([]);
  expect(isolated!.requests()).toBe(from);
});

test.each(['runs on', 'is restarted, and its heartbeat has run out'])(
  'a gateway that is frozen while ZooKeeper is lost must be heard before anything is drained; the controller %s',
  async (how) => {
    const [, drained] = instances;
    const [thawed, frozen] = platform.gateways;
    await platform.startInstance(); // so that somebody is left to serve
    await using traffic = platform.traffic({}, [thawed!]);
    await frozen!.freeze();
    if (how !== 'runs on') {
      await platform.controller.kill();
      await platform.data.del(`{ebb}:gw:${frozen!.id}`);
    }
    await wipe();
    if (how !== 'runs on') await platform.controller.start();
    await suspended();
    await registeredAgain();
    expect(await accept('--keep-intents', '--yes')).toMatchObject({ code: 0 });
    const id = await platform.drain(drained!.id);
    await until('only the frozen one is missing', async () => {
      const { waiting_for } = await platform.operation(id);
      return (
        waiting_for.length === 1 &&
        new RegExp(`gateway ${frozen!.id} has (been silent|not been heard)`).test(waiting_for[0] ?? '')
      );
    });
    expect((await platform.operation(id)).result).toBeNull();
    frozen!.thaw();
    expect(await platform.ended(id)).toMatchObject({ result: 'drained' });
    await platform.undrain(drained!.id);
    expect(await traffic.stop()).toEqual([]);
  },
);

test('restored from an older copy: what was decided since is named, and kept if a person wants it', async () => {
  const [, other] = instances;
  const [data, copy] = [join(platform.dir, 'zookeeper', 'data'), join(platform.dir, 'copy')];
  await platform.zookeeper.restart(() => {
    cpSync(data, copy, { recursive: true });
  });
  await platform.ready();
  // Since the copy: an epoch, and an intent.
  await platform.data.flushall();
  await until(
    'Redis is sealed again',
    async () => (await platform.data.hget('{ebb}:meta', 'sealed')) === '1',
  );
  const path = `/v1/services/shop/instances/${encodeURIComponent(other!.id)}`;
  expect(await platform.call('PATCH', path, { weight: 7 }, { 'if-match': '*' })).toMatchObject({
    status: 200,
  });
  await platform.converged();
  const [published, before] = [await platform.published(), await epoch()];
  await using traffic = platform.traffic();
  await platform.zookeeper.restart(() => {
    rmSync(data, { recursive: true });
    renameSync(copy, data);
  });
  expect(await suspended()).toMatch(/lost data.*went back/);
  await registeredAgain();
  expect(await accept('--dry-run')).toMatchObject({
    ...{ code: 0, stderr: '' },
    stdout: expect.stringMatching(new RegExp(`${other!.id}  weight: 7 → 100`)) as string,
  });
  expect(await platform.published()).toEqual(published);
  expect(await accept('--keep-intents', '--yes')).toMatchObject({ code: 0 });
  await platform.ready();
  await platform.converged();
  expect(await platform.published()).toEqual(published);
  expect(await epoch()).toBeGreaterThan(before);
  expect(await traffic.stop()).toEqual([]);
});

test('wiped together with Redis, and the controller restarted: the copy on its disk brings everything back, and no request fails', async () => {
  const [isolated, drained] = instances;
  await platform.ready();
  const id = await platform.drain(drained!.id);
  expect(await platform.ended(id)).toMatchObject({ result: 'drained' });
  const path = `/v1/services/shop/instances/${encodeURIComponent(isolated!.id)}`;
  expect(await platform.call('PATCH', path, { weight: 31 }, { 'if-match': '*' })).toMatchObject({
    status: 200,
  });
  expect(await platform.call('POST', '/v1/freeze', { reason: 'no releases today' })).toMatchObject({
    status: 200,
  });
  await platform.converged();
  const written = (): string => readFileSync(join(stateDir, 'copy.json'), 'utf8');
  await until('the copy has it', () => /"weight":31/.test(written()) && /no releases today/.test(written()));
  const intents = async (): Promise<readonly unknown[]> =>
    (await platform.call<{ readonly items: readonly IntentResource[] }>('GET', '/v1/intents')).body.items.map(
      ({ kind, instance, by, reason }) => [kind, instance, by, reason],
    );
  const [published, before, from] = [await platform.published(), await intents(), drained!.requests()];
  await using traffic = platform.traffic();
  await platform.controller.kill();
  await wipe();
  await platform.data.flushall();
  await platform.controller.start();
  expect(await suspended()).toMatch(/A copy of what was decided is of epoch \d+.*restore --from/);
  const back = (...more: readonly string[]): Promise<Run> =>
    cli('restore', '--from', 'file', '--reason', 'both disks died', ...more);
  await until('all have registered again', async () => {
    const { body } = await platform.call<{ readonly items: readonly { readonly registered: boolean }[] }>(
      'GET',
      '/v1/services/shop/instances',
    );
    return body.items.filter((one) => one.registered).length >= published.peers.length;
  });
  const looked = await until('it can be looked at', async () => {
    const run = await back();
    return run.code === 2 && run;
  });
  expect(looked.stdout).toMatch(new RegExp(`${drained!.id}  state: up → drain`));
  expect(looked.stdout).toMatch(/freeze: .*no releases today/);
  expect(await back('--yes')).toMatchObject({ code: 0 });
  await platform.ready();
  await platform.converged();
  expect((await platform.published()).peers).toEqual(published.peers);
  expect(await intents()).toEqual(before);
  expect(await traffic.stop()).toEqual([]);
  expect(drained!.requests()).toBe(from);
});
