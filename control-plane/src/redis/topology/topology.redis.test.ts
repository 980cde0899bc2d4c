import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, expect, test } from 'vitest';
import { systemClock } from '../../clock.js';
import { redisCli, startClusterRig, startSentinelRig, startTlsRedis } from '../../local/redis_topologies.js';
import { buildEncoded, buildSet } from '../../testing/builders.js';
import { Authority } from '../../testing/certificates.js';
import { createRecordingLog } from '../../testing/log.js';
import { redisAddress } from '../../testing/redis_address.js';
import { until } from '../../testing/until.js';
import { RedisLink } from '../client.js';
import { createPublisher, type RedisPublisher } from '../publisher.js';
import { loadScripts } from '../scripts.js';
import { SLOT } from './cluster.js';

const SCRIPTS = fileURLToPath(new URL('../../../../lua/redis', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-topology-'));
const AT = '2026-11-21T00:00:00Z';
const opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one[Symbol.asyncDispose]();
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

function keep<T extends AsyncDisposable>(one: T): T {
  opened.push(one);
  return one;
}

/** A publisher that is connected, and the doubts that it has had. */
async function publisherOf(url: string): Promise<{ publisher: RedisPublisher; doubts: string[] }> {
  const scripts = await loadScripts(SCRIPTS);
  const publisher = keep(createPublisher({ url, log: createRecordingLog(), clock: systemClock, scripts }));
  const doubts: string[] = [];
  publisher.onDoubt((reason) => doubts.push(reason));
  await publisher.start();
  await until(() => expect(publisher.state().state).toBe('connected'));
  return { publisher, doubts };
}

function publish(publisher: RedisPublisher, epoch: number, service: string) {
  const encoded = buildEncoded(buildSet({ service }));
  return publisher.publish({ epoch, last_generation: 0, expected_generation: 0, encoded, at: AT });
}

async function hears(url: string, port: number): Promise<void> {
  const heard: string[] = [];
  const log = createRecordingLog();
  const hints = keep(
    new RedisLink({
      address: redisAddress(url),
      name: 'hints',
      log,
      clock: systemClock,
      channel: '{ebb}:report',
    }),
  );
  hints.onMessage((text) => heard.push(text));
  await hints.start();
  await until(() => expect(hints.state().state).toBe('connected'));
  redisCli(port, 'PUBLISH', '{ebb}:report', 'edge-1');
  await until(() => expect(heard).toEqual(['edge-1']));
}

test('Sentinel: a failover is a doubt, and the next epoch goes to the new master', async () => {
  const rig = keep(await startSentinelRig(dir));
  // One sentinel is a black hole: it must not keep the others from being heard.
  rig.sentinels[0]?.server.child.kill('SIGSTOP');
  try {
    const { publisher, doubts } = await publisherOf(rig.url);
    expect(publisher.state().detail).toContain(`at 127.0.0.1:${String(rig.master.port)}`);
    expect(await publisher.open(100)).toMatchObject({ kind: 'opened' });
    expect(await publish(publisher, 100, 'shop')).toMatchObject({ kind: 'published' });
    rig.sentinels[0]?.server.child.kill('SIGCONT');
    for (const { port } of rig.sentinels)
      await until(() => {
        const [known, slaves] = ['num-other-sentinels', 'num-slaves'].map((name) => {
          const lines = redisCli(port, 'SENTINEL', 'MASTER', 'ebbgate').split('\n');
          return lines[lines.indexOf(name) + 1];
        });
        expect([known, slaves]).toEqual(['2', '1']);
      });
    rig.master.server.child.kill('SIGKILL');
    await until(() => {
      expect(publisher.state().detail).toContain(`at 127.0.0.1:${String(rig.replica.port)}`);
      expect(publisher.state().state).toBe('connected');
    });
    expect(doubts.at(-1)).toMatch(/another server answers/);
    expect(await publisher.open(200)).toMatchObject({ kind: 'opened' });
    expect(redisCli(rig.replica.port, 'HGET', '{ebb}:meta', 'epoch')).toBe('200');
    await hears(rig.url, rig.replica.port);
  } finally {
    rig.sentinels[0]?.server.child.kill('SIGCONT');
  }
});

test('Cluster: MOVED is a doubt, the link follows, and ASK is followed key by key while the slot moves', async () => {
  const rig = keep(await startClusterRig(dir));
  const [from, to] = rig.nodes;
  if (from === undefined || to === undefined) throw new Error('no nodes');
  expect(redisCli(from.port, 'CLUSTER', 'KEYSLOT', '{ebb}:meta')).toBe(String(SLOT));
  const { publisher, doubts } = await publisherOf(rig.url);
  expect(await publisher.open(100)).toMatchObject({ kind: 'opened' });
  expect(await publish(publisher, 100, 'shop')).toMatchObject({ kind: 'published' });
  const [fromId, toId] = [from, to].map(({ port }) => redisCli(port, 'CLUSTER', 'MYID'));
  redisCli(to.port, 'CLUSTER', 'SETSLOT', String(SLOT), 'IMPORTING', String(fromId));
  redisCli(from.port, 'CLUSTER', 'SETSLOT', String(SLOT), 'MIGRATING', String(toId));
  const migrate = (key: string) =>
    redisCli(from.port, 'MIGRATE', '127.0.0.1', String(to.port), key, '0', '5000');
  migrate('{ebb}:set:shop');
  // One key is there, the others are here.
  expect(await publisher.sets()).toMatchObject({ ok: true, value: [{ service: 'shop' }] });
  expect(await publish(publisher, 100, 'billing')).toMatchObject({
    kind: 'unavailable',
    reason: expect.stringMatching(/TRYAGAIN/),
  });
  migrate('{ebb}:meta');
  expect(await publisher.meta()).toMatchObject({ ok: true, value: { epoch: 100 } });
  migrate('{ebb}:index');
  for (const { port } of [to, from]) redisCli(port, 'CLUSTER', 'SETSLOT', String(SLOT), 'NODE', String(toId));
  expect(await publisher.meta()).toMatchObject({ ok: false, error: expect.stringMatching(/^MOVED/) });
  await until(() => expect(publisher.state().detail).toContain(`at 127.0.0.1:${String(to.port)}`));
  await until(() => expect(publisher.state().state).toBe('connected'));
  expect(doubts.at(-1)).toMatch(/another server answers/);
  expect(await publish(publisher, 100, 'billing')).toMatchObject({ kind: 'published' });
  await hears(rig.url, from.port);
});

test('TLS: believed by its authority and under its name, with a certificate of the client, and never without', async () => {
  const [good, other] = [new Authority(dir, 'good'), new Authority(dir, 'other')];
  const [server, client] = [good.sign('redis.internal'), good.sign('controller')];
  const { port } = keep(await startTlsRedis(dir, { ...server, ca: good.ca }));
  const log = createRecordingLog();
  const members = `&cert=${client.cert}&key=${client.key}`;
  const link = (more: string): RedisLink => {
    const address = redisAddress(`rediss://127.0.0.1:${String(port)}?${more}`);
    return keep(new RedisLink({ address, name: more, log, clock: systemClock }));
  };
  const right = link(`server_name=redis.internal&ca=${good.ca}${members}`);
  const wrongName = link(`server_name=other.internal&ca=${good.ca}${members}`);
  const wrongAuthority = link(`server_name=redis.internal&ca=${other.ca}${members}`);
  const nobody = link(`server_name=redis.internal&ca=${good.ca}`);
  await Promise.all([right, wrongName, wrongAuthority, nobody].map((one) => one.start()));
  await until(() => {
    expect(right.state().state).toBe('connected');
    expect(wrongName.state().detail).toMatch(/does not match certificate's altnames/);
    expect(wrongAuthority.state().detail).toMatch(/self.signed|unable to (?:verify|get)|signature/);
    expect(nobody.state().detail).toMatch(/certificate required|alert|the connection was lost/);
  });
  expect(await right.run('PING')).toEqual({ ok: true, value: 'PONG' });
  for (const one of [wrongName, wrongAuthority, nobody]) expect(one.state().state).toBe('connecting');
});

test('a file that is missing is named, and a name that nobody knows', async () => {
  const log = createRecordingLog();
  const link = (url: string): RedisLink =>
    keep(new RedisLink({ address: redisAddress(url), name: 'x', log, clock: systemClock }));
  const secure = link('rediss://127.0.0.1:1?server_name=redis&ca=/nonexistent.pem');
  const lost = link('redis+sentinel://127.0.0.1:1/ebbgate');
  await Promise.all([secure.start(), lost.start()]);
  await until(() => {
    expect(secure.state().detail).toMatch(/nonexistent\.pem/);
    expect(lost.state().detail).toMatch(
      /no sentinel names the master ebbgate: 127\.0\.0\.1:1: .*ECONNREFUSED/,
    );
  });
});
