import { expect, test } from 'vitest';
import { done, lead, refused } from '../../testing/controller_plays.js';
import { start, until, useServers } from '../../testing/controller_rig.js';

/*
 * Tokens over real stores: every controller knows one, and every controller knows that it is revoked.
 */

useServers();

const ID = '00112233445566ff';
const create = {
  kind: 'create_token',
  ...{ name: 'ci', id: ID, scope: 'shop', certificate: null },
  role: 'releaser',
  verifier: { salt: '0'.repeat(32), hash: '1'.repeat(64) },
} as const;

test('a token is known to the leader and to a standby, and so is its revocation', async () => {
  const leader = await lead();
  const standby = await start();
  await done(leader, create, { reason: 'CI' });
  const known = { record: { name: 'ci', role: 'releaser', scope: 'shop', reason: 'CI' }, expired: false };
  expect(leader.controller.tokens.byId(ID)).toMatchObject(known);
  await until(() => expect(standby.controller.tokens.byId(ID)).toMatchObject(known));
  expect(await refused(leader, create)).toMatchObject({ code: 'conflict', field: 'body.name' });
  await done(leader, { kind: 'revoke_token', name: 'ci' });
  expect(leader.controller.tokens.byId(ID)).toBeUndefined();
  await until(() => expect(standby.controller.tokens.byId(ID)).toBeUndefined());
  expect(await refused(leader, { kind: 'revoke_token', name: 'ci' })).toMatchObject({ code: 'not_found' });
  // What is recorded of it contains nothing that proves it.
  const page = await leader.controller.auditPage({
    ...{ service: null, actor: null, verb: 'create_token', since: null, before: null, limit: 5 },
  });
  expect(page).toMatchObject({ ok: true, value: { items: [{ object: 'ci', reason: 'CI' }] } });
  expect(JSON.stringify(page)).not.toContain(create.verifier.hash);
});

test('one that expires is refused from then on, and is listed until it is revoked', async () => {
  const leader = await lead();
  await done(leader, { ...create, name: 'short' }, { expires_ms: 1_000 });
  expect(leader.controller.tokens.byId(ID)).toMatchObject({ expired: false });
  await until(() => expect(leader.controller.tokens.byId(ID)).toMatchObject({ expired: true }));
  expect(leader.controller.tokens.list()).toMatchObject([{ name: 'short', expired: true }]);
});
