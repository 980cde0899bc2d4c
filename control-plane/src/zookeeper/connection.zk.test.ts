import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import { startTcpProxy, type TcpProxy } from '../testing/tcp_proxy.js';
import { until } from '../testing/until.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import { connect, type ZooKeeperConnection } from './connection.js';
import type { WatchEvent } from './protocol.js';

const zk = useZooKeeper();
let proxy: TcpProxy;

beforeEach(async () => {
  proxy = zk.open(await startTcpProxy(zk.port));
});

const open = (to = zk.port, sessionTimeoutMs = 2_000): Promise<ZooKeeperConnection> =>
  zk.connection(to, sessionTimeoutMs);

async function freshNode(connection: ZooKeeperConnection, data = ''): Promise<string> {
  const path = zk.path('n');
  expect(await connection.create(path, Buffer.from(data))).toEqual({ ok: true, value: null });
  return path;
}

test('reads and writes answer with values, refusals too', async () => {
  const connection = await open();
  const path = await freshNode(connection, 'one');
  expect(await connection.create(path, Buffer.alloc(0))).toMatchObject({ error: { kind: 'node_exists' } });
  expect(await connection.getData(path)).toMatchObject({ value: { stat: { version: 0 } } });
  expect(await connection.setData(path, Buffer.from('two'), 1)).toMatchObject({
    error: { kind: 'bad_version' },
  });
  expect(await connection.setData(path, Buffer.from('two'), 0)).toMatchObject({ value: { version: 1 } });
  const read = await connection.getData(path);
  expect(read.ok && read.value.data.toString()).toBe('two');
  expect(read.ok && read.value.stat.mzxid <= read.value.zxid).toBe(true);
  expect(await connection.create(`${path}/a`, Buffer.alloc(0))).toMatchObject({ ok: true });
  expect(await connection.getChildren(path)).toMatchObject({ value: { names: ['a'] } });
  expect(await connection.remove(path, -1)).toMatchObject({ error: { kind: 'not_empty' } });
  expect(await connection.getData('/none')).toMatchObject({ error: { kind: 'no_node' } });
  expect(await connection.exists('/none')).toEqual({ ok: true, value: null });
  expect(await connection.getData('no path')).toMatchObject({ error: { kind: 'other' } });
});

test('a transaction checks version 0, and names the operation that was refused', async () => {
  const connection = await open();
  const [a, b] = [await freshNode(connection), await freshNode(connection)];
  const set = (path: string, version: number) =>
    ({ kind: 'set', path, data: Buffer.from('x'), version }) as const;
  const first = await connection.transaction([{ kind: 'check', path: b, version: 0 }, set(a, 0)]);
  expect(first).toMatchObject({ ok: true, value: { stats: [null, { version: 1 }] } });
  // Both are at version 1 or 0 now; a check for 0 that were skipped would let this pass.
  expect(await connection.transaction([set(b, 0), set(a, 0)])).toMatchObject({
    error: { kind: 'bad_version', operation: 1 },
  });
  expect(await connection.transaction([{ kind: 'check', path: a, version: 0 }, set(b, 0)])).toMatchObject({
    error: { kind: 'bad_version', operation: 0 },
  });
  expect(await connection.transaction([{ kind: 'remove', path: a, version: 0 }])).toMatchObject({
    error: { kind: 'bad_version', operation: 0 },
  });
  expect(await connection.exists(b)).toMatchObject({ value: { version: 0 } });
});

test('an error code that the library does not know is a value, and the connection lives on', async () => {
  const connection = await open();
  expect(await connection.removeTreeWatch('/nobody-watches-this')).toMatchObject({
    error: { kind: 'other', message: 'no watcher' },
  });
  expect(await connection.exists('/')).toMatchObject({ ok: true });
});

test('what would not fit into a packet is not sent', async () => {
  const connection = await open();
  const data = Buffer.alloc(1_000_001);
  expect(await connection.create('/large', data)).toMatchObject({ error: { kind: 'too_large' } });
  expect(await connection.transaction([{ kind: 'create', path: '/large', data }])).toMatchObject({
    error: { kind: 'too_large' },
  });
  expect(connection.alive).toBe(true);
});

test('a tree watch reports everything below, once it is added, until it is removed', async () => {
  const [watcher, writer] = [await open(), await open()];
  const root = await freshNode(writer);
  const events: WatchEvent[] = [];
  watcher.onEvent((event) => events.push(event));
  expect(await watcher.addTreeWatch(root)).toEqual({ ok: true, value: null });
  await writer.create(`${root}/a`, Buffer.alloc(0));
  await writer.create(`${root}/a/b`, Buffer.alloc(0), { ephemeral: true });
  await writer.setData(`${root}/a/b`, Buffer.from('x'), -1);
  await writer.remove(`${root}/a/b`, -1);
  await until(() => {
    expect(events).toEqual([
      { type: 'created', path: `${root}/a` },
      { type: 'created', path: `${root}/a/b` },
      { type: 'changed', path: `${root}/a/b` },
      { type: 'deleted', path: `${root}/a/b` },
    ]);
  });
  expect(await watcher.removeTreeWatch(root)).toEqual({ ok: true, value: null });
  await writer.create(`${root}/c`, Buffer.alloc(0));
  await watcher.sync(root);
  expect(events).toHaveLength(4);
});

test('a session lists the ephemeral nodes that it owns', async () => {
  const [owner, other] = [await open(), await open()];
  const root = await freshNode(owner);
  const nothing = Buffer.alloc(0);
  expect(await owner.ephemerals(root)).toEqual({ ok: true, value: [] });
  await owner.create(`${root}/mine`, nothing, { ephemeral: true });
  await owner.create(`${root}/ümlaut`, nothing, { ephemeral: true });
  await owner.create(`${root}/persistent`, nothing);
  await other.create(`${root}/theirs`, nothing, { ephemeral: true });
  const listed = await owner.ephemerals(root);
  expect(listed.ok && listed.value.toSorted()).toEqual([`${root}/mine`, `${root}/ümlaut`]);
  expect(await owner.ephemerals(`${root}/nobody`)).toEqual({ ok: true, value: [] });
  expect(await owner.exists(root)).toMatchObject({ ok: true });
});

test('ten thousand requests may be under way at once', async () => {
  const connection = await open(zk.port, 30_000);
  const answers = await Promise.all(
    Array.from({ length: 10_000 }, (_, i) => connection.exists(i % 2 === 0 ? '/' : '/none')),
  );
  expect(answers.filter((answer) => answer.ok && answer.value === null)).toHaveLength(5_000);
});

test('a frozen server is given up within two thirds of the session', async () => {
  const connection = await open();
  const asked = performance.now();
  await zk.freeze();
  const answer = await connection.getData('/');
  expect(answer).toMatchObject({ error: { kind: 'lost' } });
  // Plus the grain of the timers and a busy machine.
  expect(performance.now() - asked).toBeLessThan((connection.sessionTimeoutMs * 2) / 3 + 1_000);
  expect(await connection.lost).toContain('no answer for');
  expect(await connection.exists('/')).toMatchObject({ error: { kind: 'lost' } });
});

test('a frozen server is noticed without anybody asking', async () => {
  const connection = await open();
  await zk.freeze();
  expect(await connection.lost).toContain('no answer for');
});

test('a short freeze is survived, and reported', async () => {
  const connection = await open(zk.port, 30_000);
  let silences = 0;
  connection.onSilence(() => (silences += 1));
  await zk.freeze();
  // A signal takes a moment to reach every thread, and one that still runs may answer.
  await delay(50);
  const answer = connection.exists('/');
  const frozen = performance.now();
  await until(() => {
    expect(performance.now() - frozen).toBeGreaterThan(700);
  });
  zk.server.kill('SIGCONT');
  expect(await answer).toMatchObject({ ok: true });
  expect(silences).toBeGreaterThan(0);
  expect(connection.silentAt).toBeGreaterThan(frozen);
});

test.each([
  ['swallow', 'no answer for'],
  ['swallow_answers', 'no answer for'],
  ['cut', ''],
] as const)('a network that does "%s" ends every open operation', async (mode, reason) => {
  const connection = await open(proxy.port);
  const before = connection.getData('/');
  await before;
  proxy.setMode(mode);
  const asked = [connection.getData('/'), connection.create('/x', Buffer.alloc(0)), connection.sync('/')];
  for (const answer of await Promise.all(asked)) expect(answer).toMatchObject({ error: { kind: 'lost' } });
  expect(await connection.lost).toContain(reason);
});

test('connecting has a deadline, and says why it failed', async () => {
  proxy.setMode('swallow');
  const options = { sessionTimeoutMs: 2_000, connectTimeoutMs: 300, clock };
  const silent = await connect({ ...options, server: { host: '127.0.0.1', port: proxy.port } });
  expect(silent).toMatchObject({ ok: false, error: expect.stringContaining('within 300 ms') as string });
  const nobody = await connect({ ...options, server: { host: '127.0.0.1', port: await reservePort() } });
  expect(nobody).toMatchObject({ ok: false, error: expect.stringContaining('ECONNREFUSED') as string });
});

test('close ends the session: its ephemeral nodes go at once', async () => {
  const [leaver, observer] = [await open(zk.port, 30_000), await open()];
  const path = zk.path('e');
  await leaver.create(path, Buffer.alloc(0), { ephemeral: true });
  expect(await observer.exists(path)).toMatchObject({ value: { ephemeralOwner: leaver.sessionId } });
  await Promise.all([leaver.close(), leaver.close()]);
  await until(async () => {
    expect(await observer.exists(path)).toEqual({ ok: true, value: null });
  });
});

test('close does not wait for a frozen server, and leaves nothing behind', async () => {
  const before = resources();
  const connection = await open(zk.port, 30_000);
  expect(resources().length).toBeGreaterThan(before.length);
  await zk.freeze();
  void connection.getData('/');
  const asked = performance.now();
  await connection.close();
  expect(performance.now() - asked).toBeLessThan(5_000);
  // A socket takes some turns of the loop to close. No timer here: it would count itself.
  const leftOver = (): number => resources().length - before.length;
  for (let turn = 0; turn < 1_000 && leftOver() > 0; turn++) await immediate();
  expect(leftOver()).toBeLessThanOrEqual(0);
});

/** What keeps this process alive, as far as a connection could. */
function resources(): readonly string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => kind === 'TCPSocketWrap' || kind === 'TCPConnectWrap' || kind === 'Timeout')
    .sort();
}
