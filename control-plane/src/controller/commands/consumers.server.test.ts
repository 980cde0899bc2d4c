import { expect, test } from 'vitest';
import { done, lead, refused } from '../../testing/controller_plays.js';
import { start, until, useServers } from '../../testing/controller_rig.js';
import { command } from '../../testing/controller_rig.js';

/*
 * Consumers over real stores: what is changed is published before the answer, and every controller knows it.
 */

useServers();

const HASH = `37${'5'.repeat(62)}`;
const create = { kind: 'create_consumer', name: 'acme', services: ['*'], networks: [] } as const;
const add = { kind: 'add_key', name: 'acme', id: '0123456789ab', hash: HASH } as const;
const published = async (name: string): Promise<unknown> => {
  const payload = await command('HGET', `{ebb}:set:${name}`, 'payload');
  return typeof payload === 'string' ? JSON.parse(payload) : null;
};

test('a key is published with the answer that gives it, and taken away with the one that revokes it', async () => {
  const leader = await lead();
  const standby = await start();
  await done(leader, create, { reason: 'customer' });
  expect(await refused(leader, create)).toMatchObject({ code: 'conflict', field: 'body.name' });
  expect(await done(leader, add, { reason: 'first' })).toMatchObject({ published: true });
  expect(await published('@keys:37')).toEqual({
    ...{ v: 1, service: '@keys:37', consumers: [{ name: 'acme' }] },
    keys: [{ hash: HASH, id: add.id, consumer: 0 }],
  });
  const known = { name: 'acme', keys: [{ id: add.id, reason: 'first', expired: false }] };
  await until(() => expect(standby.controller.consumers.byName('acme')).toMatchObject(known));
  // The same request again, and another one that has the key already.
  expect(await done(leader, add)).toMatchObject({ changes: [] });
  expect(await refused(leader, { ...add, hash: `38${HASH.slice(2)}` })).toMatchObject({
    code: 'idempotency_conflict',
  });
  expect(await refused(leader, { ...add, id: 'ffffffffffff' })).toMatchObject({ code: 'conflict' });
  const narrow = { kind: 'change_consumer', name: 'acme', services: ['shop'], networks: null } as const;
  await done(leader, narrow);
  expect(await published('@keys:37')).toMatchObject({ consumers: [{ name: 'acme', services: ['shop'] }] });
  await done(leader, { kind: 'revoke_key', name: 'acme', id: add.id });
  expect(await published('@keys:37')).toEqual({ v: 1, service: '@keys:37', removed: true });
  expect(await refused(leader, { kind: 'revoke_key', name: 'acme', id: add.id })).toMatchObject({
    code: 'not_found',
  });
  await done(leader, { ...add, id: 'aaaaaaaaaaaa' });
  await done(leader, { kind: 'delete_consumer', name: 'acme' });
  expect(await published('@keys:37')).toMatchObject({ removed: true });
  // What is recorded of it contains nothing that proves it, and names each key that went.
  const page = await leader.controller.auditPage({
    ...{ service: null, actor: null, verb: null, since: null, before: null, limit: 20 },
  });
  expect(JSON.stringify(page)).toContain('consumer acme key aaaaaaaaaaaa');
  expect(JSON.stringify(page)).not.toContain(HASH);
});

test('a controller that takes over publishes the keys that there are', async () => {
  const leader = await lead();
  await done(leader, create);
  await done(leader, add);
  await leader.close();
  const next = await lead();
  expect(next.controller.consumers.byName('acme')).toMatchObject({ keys: [{ id: add.id }] });
  expect(await published('@keys:37')).toMatchObject({ keys: [{ hash: HASH }] });
});
