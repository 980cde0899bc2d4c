import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { zkCli } from '../testing/foreign_registrants.js';
import { must } from '../testing/must.js';
import { until } from '../testing/until.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import { readAccess } from './access.js';
import { accessProblems } from './access_problems.js';
import { parseAcl, spellAcl, type AclEntry } from './acl.js';
import type { ZooKeeperConnection } from './connection.js';
import { createConsumers } from './consumers.js';
import { createPath } from './create_path.js';
import { digestId } from './credentials.js';
import { createElection } from './election.js';
import { createOffice } from './epoch.js';
import { createIntentStore } from './intents.js';
import type { ZooKeeperLink } from './link.js';
import { NodePermissions } from './permissions.js';
import { createProviderRegistration } from './provider.js';
import { createZooKeeperProbe } from './write_probe.js';

const zk = useZooKeeper();

/** Writes a file of credentials as its owner would. */
function authFile(name: string, ...lines: readonly string[]): string {
  const file = join(zk.dir, name);
  writeFileSync(file, lines.join('\n'));
  chmodSync(file, 0o600);
  return file;
}

interface Place {
  readonly root: string;
  readonly registry: string;
}
function place(): Place {
  return { root: zk.path('own'), registry: zk.path('services') };
}

function entries(text: string): readonly AclEntry[] {
  const parsed = parseAcl(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** A link of somebody with that file; `own` and `registry`: what others may do. */
function linkWith(
  file: string,
  { root, registry }: Place,
  { own = 'none', registered = 'world:anyone:r' } = {},
): Promise<ZooKeeperLink> {
  return zk.connectedLink({
    access: () => readAccess({ auth: file, tls: null }),
    accessMs: 20,
    acl: {
      own: { root, others: entries(own) },
      registry: { roots: [registry], others: entries(registered) },
    },
  });
}

function start(link: ZooKeeperLink, { root, registry }: Place, leads = true): NodePermissions {
  const permissions = new NodePermissions(link, { root, registryRoots: [registry], leads: () => leads });
  permissions.start();
  return zk.open(permissions);
}

async function aclOf(by: ZooKeeperConnection | null, path: string): Promise<string> {
  return spellAcl(await must(by!.getAcl(path)));
}

const id = (user: string, password: string): string => `digest:${digestId({ user, password })}:cdrwa`;
const refusal = { ok: false, error: { kind: 'no_auth' } };

/** Everything that a controller makes below the roots. */
async function fill(link: ZooKeeperLink, { root, registry }: Place): Promise<void> {
  const intents = zk.open(createIntentStore(link, { root }));
  await intents.start();
  await must(createOffice(link, { root, owner: 'one' }).take(1));
  const controller = { id: 'one', address: null, version: '', started_at: '' };
  const election = zk.open(createElection(link, { root, guid: 'one', controller }));
  await election.start();
  await until(() => expect(election.state()).toBe('elected'));
  await must(createPath(link.connection!, `${registry}/shop/providers`));
  const consumers = zk.open(createConsumers(link, { root: registry, node: { id: 'c', host: 'here' } }));
  await consumers.start();
  consumers.follow(['shop']);
  const provider = createProviderRegistration({
    ...{ link, root: registry, service: 'shop', node: 'a', check: () => null },
  });
  await zk.open(provider).start();
  await provider.set({ id: 'a', host: '10.0.0.1', port: 80 });
  await until(async () =>
    expect((await must(link.connection!.getChildren(`${registry}/shop/consumers`))).names).toEqual(['c']),
  );
}

test('without credentials everything is open, as before', async () => {
  const at = place();
  const link = await linkWith('', at);
  await fill(link, at);
  start(link, at);
  const stranger = await zk.connection();
  for (const path of [at.root, `${at.root}/epoch`, at.registry, `${at.registry}/shop/providers/a`])
    expect(await aclOf(stranger, path)).toBe('world:anyone:cdrwa');
});

test('a session without the password reads no own node, reads registrations, and writes neither', async () => {
  const at = place();
  const link = await linkWith(authFile('auth', 'digest:ebbgate:secret'), at);
  await fill(link, at);
  const ours = id('ebbgate', 'secret');
  const own = ['', '/epoch', '/intents', '/controllers'].map((name) => at.root + name);
  const [member] = (await must(link.connection!.getChildren(`${at.root}/controllers`))).names;
  for (const path of [...own, `${at.root}/controllers/${member!}`])
    expect(await aclOf(link.connection, path)).toBe(ours);
  const shop = `${at.registry}/shop`;
  const registered = [at.registry, shop, `${shop}/providers`, `${shop}/providers/a`, `${shop}/consumers/c`];
  for (const path of registered) expect(await aclOf(link.connection, path)).toBe(`${ours},world:anyone:r`);

  const wrong = await linkWith(authFile('wrong', 'digest:ebbgate:guess'), at);
  for (const stranger of [await zk.connection(), wrong.connection!]) {
    for (const path of own) {
      expect(await stranger.getData(path)).toMatchObject(refusal);
      expect(await stranger.getChildren(path)).toMatchObject(refusal);
      expect(await stranger.setData(path, Buffer.from('x'), -1)).toMatchObject(refusal);
      expect(await stranger.create(`${path}/x`, Buffer.alloc(0))).toMatchObject(refusal);
    }
    expect(await stranger.getData(`${shop}/providers/a`)).toMatchObject({ ok: true });
    expect(await stranger.setData(`${shop}/providers/a`, Buffer.from('{}'), -1)).toMatchObject(refusal);
    expect(await stranger.remove(`${shop}/providers/a`, -1)).toMatchObject(refusal);
    expect(await stranger.create(`${shop}/providers/b`, Buffer.from('{}'))).toMatchObject(refusal);
    expect(await stranger.create(`${at.registry}/other`, Buffer.alloc(0))).toMatchObject(refusal);
    const open = [{ scheme: 'world', id: 'anyone', permissions: 31 }];
    expect(await stranger.setAcl(at.root, open)).toMatchObject(refusal);
  }
  // Another session of ours may do all of it.
  const other = await linkWith(authFile('auth', 'digest:ebbgate:secret'), at);
  expect(await createZooKeeperProbe(other, { root: at.root })()).toBeNull();
  expect(await must(createOffice(other, { root: at.root, owner: 'two' }).take(1))).toMatchObject({
    epoch: 2,
  });
});

test('others may do what the options let them', async () => {
  const at = place();
  const file = authFile('auth', 'digest:ebbgate:secret');
  const link = await linkWith(file, at, { own: 'world:anyone:r', registered: 'none' });
  await fill(link, at);
  const stranger = await zk.connection();
  expect(await stranger.getData(`${at.root}/epoch`)).toMatchObject({ ok: true });
  expect(await stranger.setData(`${at.root}/epoch`, Buffer.from('9'), -1)).toMatchObject(refusal);
  expect(await stranger.getData(`${at.registry}/shop/providers/a`)).toMatchObject(refusal);
  expect(await stranger.getChildren(at.registry)).toMatchObject(refusal);
});

test('the leader closes the open own nodes of before; a standby does not; the registry of others stays as it is', async () => {
  const at = place();
  await fill(await linkWith('', at), at);
  const link = await linkWith(authFile('auth', 'digest:ebbgate:secret'), at);
  const standby = start(link, at, false);
  standby.look();
  await must(link.connection!.sync(at.root));
  expect(await aclOf(link.connection, at.root)).toBe('world:anyone:cdrwa');
  await standby.close();

  const permissions = start(link, at);
  const ours = id('ebbgate', 'secret');
  await until(async () => expect(await aclOf(link.connection, at.root)).toBe(ours));
  for (const name of ['epoch', 'intents', 'controllers'])
    expect(await aclOf(link.connection, `${at.root}/${name}`)).toBe(ours);
  const [member] = (await must(link.connection!.getChildren(`${at.root}/controllers`))).names;
  expect(await aclOf(link.connection, `${at.root}/controllers/${member!}`)).toBe(ours);
  for (const path of [at.registry, `${at.registry}/shop`, `${at.registry}/shop/providers`])
    expect(await aclOf(link.connection, path)).toBe('world:anyone:cdrwa');
  expect(permissions.refused().size).toBe(0);
});

test('the wrong password: what may not be done is a problem that names path and remedy, and the registry is read', async () => {
  const at = place();
  await fill(await linkWith(authFile('auth', 'digest:ebbgate:secret'), at), at);
  const file = authFile('wrong', 'digest:ebbgate:guess');
  const link = await linkWith(file, at);
  const permissions = start(link, at);
  await until(() => expect([...permissions.refused()]).toEqual([[at.root, 'no auth']]));
  const [problem] = accessProblems(link, permissions, file);
  expect(problem).toMatchObject({ code: 'wrong_permissions', path: at.root });
  expect(problem!.message).toContain(file);
  expect(JSON.stringify([problem, zk.log.lines])).not.toMatch(/guess|secret/);
  const intents = zk.open(createIntentStore(link, { root: at.root }));
  await intents.start();
  await until(() => expect(intents.problem()).toMatchObject({ path: `${at.root}/intents` }));
  expect(await createZooKeeperProbe(link, { root: at.root })()).toMatch(/no auth/);
  expect(link.connection).not.toBeNull();
  const { session } = { session: link.connection!.sessionId };
  expect(await must(link.connection!.getChildren(`${at.registry}/shop/providers`))).toMatchObject({
    names: ['a'],
  });
  expect(link.connection!.sessionId).toBe(session);
});

test('the password is replaced while all run: both lines, then the new one alone; no session ends', async () => {
  const at = place();
  const file = authFile('auth', 'digest:ebbgate:old');
  const link = await linkWith(file, at);
  await fill(link, at);
  start(link, at);
  const session = link.connection!.sessionId;
  const folders = ['', '/shop', '/shop/providers', '/shop/consumers'].map((name) => at.registry + name);
  const [before, after] = [id('ebbgate', 'old'), id('ebbgate', 'new')];

  authFile('auth', 'digest:ebbgate:new', 'digest:ebbgate:old');
  await until(async () => expect(await aclOf(link.connection, at.root)).toBe(`${after},${before}`));
  await until(async () =>
    expect(await aclOf(link.connection, at.registry)).toBe(`${after},${before},world:anyone:r`),
  );
  authFile('auth', 'digest:ebbgate:new');
  await until(async () => expect(await aclOf(link.connection, at.root)).toBe(after));
  await until(async () => expect(await aclOf(link.connection, at.registry)).toBe(`${after},world:anyone:r`));
  for (const path of folders) expect(await aclOf(link.connection, path)).toBe(`${after},world:anyone:r`);
  for (const name of ['epoch', 'intents', 'controllers'])
    expect(await aclOf(link.connection, `${at.root}/${name}`)).toBe(after);
  expect(link.connection!.sessionId).toBe(session);

  const newcomer = await linkWith(file, at);
  expect(await createZooKeeperProbe(newcomer, { root: at.root })()).toBeNull();
  const late = await linkWith(authFile('late', 'digest:ebbgate:old'), at);
  expect(await createZooKeeperProbe(late, { root: at.root })()).toMatch(/no auth/);
  expect(JSON.stringify(zk.log.lines)).not.toMatch(/ebbgate:(old|new)/);
});

test('a file that can no longer be read is a problem that names it; the session goes on', async () => {
  const at = place();
  const file = authFile('auth', 'digest:ebbgate:secret');
  const link = await linkWith(file, at);
  const permissions = start(link, at);
  const session = link.connection!.sessionId;
  chmodSync(file, 0o644);
  await until(() =>
    expect(accessProblems(link, permissions, file)).toMatchObject([{ code: 'unusable_credentials' }]),
  );
  expect(accessProblems(link, permissions, file)[0]!.message).toContain(`chmod o= ${file}`);
  await must(link.connection!.exists('/'));
  expect(link.connection!.sessionId).toBe(session);
  link.connection!.kill('as if the server had gone');
  await until(() => expect(link.state()).toMatchObject({ detail: expect.stringContaining(file) as string }));
  chmodSync(file, 0o600);
  await until(() => expect(link.connection).not.toBeNull());
  expect(accessProblems(link, permissions, file)).toEqual([]);
});

test("a person closes the registry by ZooKeeper's own command line, as the page says; who has the password still registers", async () => {
  const at = place();
  await fill(await linkWith('', at), at);
  await zkCli(zk.port, [
    'addauth digest ebbgate:secret',
    `setAcl -R ${at.registry} auth:ebbgate:cdrwa,world:anyone:r`,
  ]);
  const link = await linkWith(authFile('auth', 'digest:ebbgate:secret'), at);
  const wanted = `${id('ebbgate', 'secret')},world:anyone:r`;
  for (const path of ['', '/shop', '/shop/providers', '/shop/providers/a'])
    expect(await aclOf(link.connection, at.registry + path)).toBe(wanted);
  const stranger = await zk.connection();
  expect(await stranger.create(`${at.registry}/shop/providers/b`, Buffer.alloc(0))).toMatchObject(refusal);
  expect(await link.connection!.create(`${at.registry}/shop/providers/b`, Buffer.alloc(0))).toMatchObject({
    ok: true,
  });
});
