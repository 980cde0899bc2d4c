import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MutationContext, MutationResource } from '../../model/mutation.js';
import type { ControlPlane } from '../../model/control_plane.js';
import { ORIGIN } from '../../testing/builders.js';
import {
  command,
  register,
  servers,
  start,
  until,
  useServers,
  type Running,
} from '../../testing/controller_rig.js';
import { must } from '../../testing/must.js';
import { removeBelow } from '../../testing/remove_below.js';

useServers();

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'ebbgate-copies-'));
});
afterEach(() => {
  rmSync(stateDir, { recursive: true });
});

const CONTEXT: MutationContext = {
  ...{ origin: ORIGIN, by: 'ann', services: '*', reason: 'disk died', dry_run: false, force: false },
  ...{ if_match: null, idempotency_key: null, expires_ms: null },
};

type From = 'redis' | 'file' | 'document';
async function look(
  plane: ControlPlane,
  from: From,
  document: unknown = null,
  prune = false,
): Promise<MutationResource> {
  const mutation = { kind: 'restore_copy', from, which: 'newest', document, diff: null, prune } as const;
  return must(plane.mutate(mutation, { ...CONTEXT, dry_run: true }));
}
async function restore(plane: ControlPlane, from: From, document: unknown = null, prune = false) {
  const { diff = null } = await look(plane, from, document, prune);
  return plane.mutate({ kind: 'restore_copy', from, which: 'newest', document, diff, prune }, CONTEXT);
}

/** Two instances, one isolated, a share frozen; and a copy of that in both places. */
async function installation(): Promise<Running> {
  const running = await start({ stateDir });
  await register('a');
  await register('b');
  const { controller } = running;
  await until(() => expect(controller.instances('shop')?.length).toBe(2));
  await until(() => expect(controller.readiness().ready).toBe(true));
  const spec = { routes: [{ host: '*', path: '/' }] };
  await must(controller.mutate({ kind: 'patch_spec', service: 'shop', spec }, { ...CONTEXT, if_match: '*' }));
  await must(controller.mutate({ kind: 'isolate', selector: { service: 'shop', ids: ['a'] } }, CONTEXT));
  for (const name of ['ci', 'old']) await must(controller.mutate(tokenOf(name), CONTEXT));
  await must(controller.mutate({ kind: 'revoke_token', name: 'old' }, CONTEXT));
  await must(controller.mutate({ kind: 'freeze_all' }, CONTEXT));
  return running;
}

function tokenOf(name: string) {
  const verifier = { salt: '0'.repeat(32), hash: '1'.repeat(64) };
  const token = { role: 'viewer', scope: 'shop', verifier, certificate: null } as const;
  return { kind: 'create_token', name, id: '00112233445566ff', ...token } as const;
}

/** Number and verb of every change, oldest first. */
async function audited(plane: ControlPlane): Promise<readonly string[]> {
  const { items } = await must(plane.auditPage(EVERY));
  return items.map(({ n, verb }) => `${String(n)} ${verb}`).toReversed();
}
const EVERY = { service: null, actor: null, verb: null, since: null, before: null, limit: 500 };
const DONE = ['patch_spec', 'isolate', 'create_token', 'create_token', 'revoke_token', 'freeze_all'];
const RECORDS = DONE.map((verb, at) => `${String(at + 1)} ${verb}`);

async function copied(): Promise<void> {
  await until(async () => {
    expect(await command('HGET', '{ebb}:copy:records', 'freezes/freeze')).toMatch(/disk died/);
    expect(await command('HGET', '{ebb}:copy:audit', 'last')).toBe(String(DONE.length));
    const copy = readFileSync(join(stateDir, 'copy.json'), 'utf8');
    expect(copy).toMatch(/"record":"freezes\/freeze"/);
    expect(copy).toMatch(/"record":"tokens\/ci"/);
  });
}

function isolated(plane: ControlPlane): unknown {
  return plane.intents().map(({ kind, instance, reason }) => [kind, instance ?? null, reason]);
}

/** ZooKeeper has lost everything: what starts from now on finds an empty one. */
function wipe(): void {
  servers.anotherInstallation();
}

test.each(['redis', 'file'] as const)(
  'started after ZooKeeper was wiped: all is held, and the copy in %s brings everything back',
  async (from) => {
    const before = await installation();
    await copied();
    const [was, published] = [isolated(before.controller), before.controller.set('shop')];
    for (const name of ['copy.json', 'copy.audit-0.jsonl'])
      expect(statSync(join(stateDir, name)).mode & 0o777).toBe(0o600);
    await before.close();
    wipe();
    // With Redis lost as well only the copy on the disk shows that this is no fresh installation.
    if (from === 'file') await command('FLUSHALL');
    const { controller } = await start({ stateDir });
    await until(() => expect(controller.readiness().data_loss).toMatch(/restore --from/));
    await Promise.all([register('a'), register('b')]);
    const seen = await until(async () => {
      const now = await look(controller, from);
      expect(now.changes).toContainEqual(
        expect.objectContaining({ instance: 'a', field: 'state', from: 'up', to: 'isolated' }),
      );
      return now;
    });
    const line = { service: '', instance: null };
    expect((seen as MutationResource).changes).toEqual(
      expect.arrayContaining([
        { ...line, field: 'token ci', from: 'none', to: 'viewer of shop' },
        { ...line, field: 'audit', from: 'missing', to: '6 records, 1 to 6' },
      ]),
    );
    expect(JSON.stringify(seen)).not.toMatch(/token old|11111111/);
    const stale = {
      kind: 'restore_copy',
      from,
      which: 'newest',
      document: null,
      diff: 'other',
      prune: false,
    } as const;
    expect(await controller.mutate(stale, CONTEXT)).toMatchObject({
      error: { code: 'conflict', field: 'diff' },
    });
    expect(await restore(controller, from)).toMatchObject({ ok: true, value: { published: true } });
    await until(() => expect(controller.readiness()).toMatchObject({ ready: true, data_loss: null }));
    expect(isolated(controller)).toEqual(was);
    expect(controller.tokens.list().map(({ name }) => name)).toEqual(['ci']);
    expect(controller.tokens.byId('00112233445566ff')?.record.verifier).toEqual(tokenOf('ci').verifier);
    expect(await audited(controller)).toEqual([...RECORDS, '7 restore_copy']);
    const ring = await must(controller.auditPage({ ...EVERY, service: 'shop' }));
    expect(ring.items.map(({ verb }) => verb)).toEqual(['restore_copy', 'isolate', 'patch_spec']);
    // A second time there is nothing to do, and numbers go on.
    expect((await look(controller, from)).changes).toEqual([]);
    await must(controller.mutate({ kind: 'unfreeze_all' }, CONTEXT));
    expect((await audited(controller)).slice(-2)).toEqual(['7 restore_copy', '8 unfreeze_all']);
    expect(controller.set('shop')?.document).toEqual(published?.document);
    expect(await must(controller.copy({ tokens: false }))).toMatch(/"record":"freezes\/freeze"/);
    expect(controller.events('shop')).toContainEqual(
      expect.objectContaining({ event: 'data_loss_accepted' }),
    );
  },
);

test('a wiped ZooKeeper never replaces the copy, and what is accepted in spite of it can be taken back', async () => {
  const before = await installation();
  await copied();
  await before.close();
  const good = readFileSync(join(stateDir, 'copy.json'), 'utf8');
  // It is not old enough to be replaced without a reason.
  writeFileSync(join(stateDir, 'copy.previous.json'), good.replace(/"epoch":\d+/, '"epoch":1'));
  wipe();
  // One that ends takes a copy of what has changed, if there is one to be taken.
  const held = await start({ stateDir });
  await until(() => expect(held.controller.readiness().data_loss).not.toBeNull());
  await held.close();
  expect(readFileSync(join(stateDir, 'copy.json'), 'utf8')).toBe(good);
  expect(readFileSync(join(stateDir, 'copy.audit-0.jsonl'), 'utf8').split('\n')).toHaveLength(
    DONE.length + 1,
  );
  expect(await command('HGET', '{ebb}:copy:audit', 'last')).toBe(String(DONE.length));
  const running = await start({ stateDir });
  const { controller } = running;
  await until(() => expect(controller.readiness().data_loss).not.toBeNull());
  await Promise.all([register('a'), register('b')]);
  await until(async () => expect((await look(controller, 'redis')).changes.length).toBeGreaterThan(0));
  const accept = { kind: 'accept_data_loss', keep_intents: false } as const;
  await must(controller.mutate(accept, CONTEXT));
  await until(() => expect(controller.readiness().ready).toBe(true));
  await running.close();
  expect(readFileSync(join(stateDir, 'copy.json'), 'utf8')).not.toBe(good);
  expect(readFileSync(join(stateDir, 'copy.previous.json'), 'utf8')).toBe(good);
  expect(await command('HGET', '{ebb}:copy:previous:records', 'freezes/freeze')).toMatch(/disk died/);
  // The acceptance has a number of its own, so that what is in the copy can be brought back beside it.
  const after = await start({ stateDir });
  await until(() => expect(after.controller.readiness().ready).toBe(true));
  expect(await audited(after.controller)).toEqual(['7 accept_data_loss']);
  const place = { from: 'file', which: 'previous', document: null, prune: false } as const;
  const previous = { kind: 'restore_copy', ...place } as const;
  const seen = await must(
    after.controller.mutate({ ...previous, diff: null }, { ...CONTEXT, dry_run: true }),
  );
  const { diff = null } = seen;
  await must(after.controller.mutate({ ...previous, diff }, CONTEXT));
  expect(await audited(after.controller)).toEqual([...RECORDS, '7 accept_data_loss', '8 restore_copy']);
  expect(after.controller.tokens.list().map(({ name }) => name)).toEqual(['ci']);
});

test('a token that was revoked does not come back with an older copy, and is named; one that the copy has is', async () => {
  const { controller } = await installation();
  const older = JSON.parse(await must(controller.copy({ tokens: true }))) as object;
  expect(JSON.stringify(JSON.parse(await must(controller.copy({ tokens: false }))))).not.toMatch(
    /tokens\/ci/,
  );
  await must(controller.mutate({ kind: 'revoke_token', name: 'ci' }, CONTEXT));
  const seen = await look(controller, 'document', older);
  expect(seen.changes).toEqual([
    expect.objectContaining({
      field: 'token ci',
      from: expect.stringMatching(/^viewer of shop: it was revoked by ann at 20/) as string,
      to: 'left out',
    }),
  ]);
  await must(restore(controller, 'document', older));
  expect(controller.tokens.list()).toEqual([]);
});

test('ZooKeeper is wiped under the controller: what a document has is brought back, and tokens are those that were valid', async () => {
  const { controller } = await installation();
  const older = JSON.parse(await must(controller.copy({ tokens: true }))) as object;
  await must(controller.mutate({ kind: 'revoke_token', name: 'ci' }, CONTEXT));
  await must(controller.mutate(tokenOf('new'), CONTEXT));
  const published = controller.set('shop');
  await removeBelow(servers.writer, servers.root);
  await until(() => expect(controller.readiness().data_loss).not.toBeNull());
  const seen = await until(() => look(controller, 'document', older));
  expect((seen as MutationResource).changes).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        field: 'token ci',
        from: 'viewer of shop: it was not valid any more before the loss',
        to: 'left out',
      }),
      expect.objectContaining({ field: 'token new', from: 'none', to: 'viewer of shop' }),
      expect.objectContaining({ field: 'audit', from: 'missing', to: '6 records, 1 to 6' }),
    ]),
  );
  const pruning = { kind: 'restore_copy', from: 'document', which: 'newest', document: older } as const;
  expect(await controller.mutate({ ...pruning, diff: null, prune: true }, CONTEXT)).toMatchObject({
    error: { code: 'conflict', field: 'prune' },
  });
  await must(restore(controller, 'document', older));
  await until(() => expect(controller.readiness()).toMatchObject({ ready: true, data_loss: null }));
  expect(controller.tokens.list().map(({ name }) => name)).toEqual(['new']);
  expect(controller.set('shop')?.document).toEqual(published?.document);
  // Numbers 7 and 8 were given, and are not given again.
  expect(await audited(controller)).toEqual([...RECORDS, '9 restore_copy']);
});

test('a copy of before the audit and the tokens were part of it is read, and takes neither away', async () => {
  const { controller } = await installation();
  const whole = JSON.parse(await must(controller.copy({ tokens: false }))) as Record<string, unknown>;
  const { tokens: _tokens, audit: _audit, ...older } = whole;
  expect((await look(controller, 'document', older)).changes).toEqual([]);
  expect((await look(controller, 'document', older, true)).changes).toEqual([]);
  await must(restore(controller, 'document', older));
  expect(controller.tokens.list().map(({ name }) => name)).toEqual(['ci']);
  expect(await audited(controller)).toEqual([...RECORDS, '7 restore_copy']);
});

test('pruned: what is not in the document goes, as it was shown; without that it stays', async () => {
  const { controller } = await installation();
  const first = JSON.parse(await must(controller.copy({ tokens: true }))) as object;
  await register('c', servers.writer, 'cart');
  await until(() => expect(controller.instances('cart')?.length).toBe(1));
  const spec = { routes: [{ host: 'cart.test', path: '/' }] };
  await must(controller.mutate({ kind: 'patch_spec', service: 'cart', spec }, { ...CONTEXT, if_match: '*' }));
  await must(controller.mutate({ kind: 'unfreeze_all' }, CONTEXT));
  const thawed = JSON.parse(await must(controller.copy({ tokens: true }))) as object;
  await must(controller.mutate({ kind: 'freeze_all' }, CONTEXT));
  await must(controller.mutate(tokenOf('new'), CONTEXT));

  expect((await look(controller, 'document', first)).changes).toEqual([]);
  const seen = (await look(controller, 'document', first, true)).changes;
  expect(seen).toEqual(
    expect.arrayContaining([
      { service: '', instance: null, field: 'token new', from: 'viewer of shop', to: 'none' },
      { service: 'cart', instance: null, field: 'record', from: 'not in the document', to: 'removed' },
      expect.objectContaining({ service: 'cart', field: 'routes', to: '[]' }),
    ]),
  );
  expect(seen.filter(({ service }) => service === 'shop')).toEqual([]);
  const unseen = { kind: 'restore_copy', from: 'document', which: 'newest', document: first } as const;
  const { diff = null } = await look(controller, 'document', first);
  expect(await controller.mutate({ ...unseen, diff, prune: true }, CONTEXT)).toMatchObject({
    error: { code: 'conflict', field: 'diff' },
  });
  await must(restore(controller, 'document', first, true));
  await until(() => expect(controller.set('cart')?.document).toMatchObject({ peers: [{ id: 'c' }] }));
  expect((await look(controller, 'document', first, true)).changes).toEqual([]);
  expect(controller.tokens.list().map(({ name }) => name)).toEqual(['ci']);
  // The freeze was in the first document; in a document without it, it goes.
  const thaw = (await look(controller, 'document', thawed, true)).changes;
  expect(thaw).toContainEqual(expect.objectContaining({ service: '*', field: 'freeze', to: 'none' }));
});

test('exported, imported into an empty truth, and exported again: the same records', async () => {
  const before = await installation();
  const first = await must(before.controller.copy({ tokens: true }));
  await before.close();
  await command('FLUSHALL');
  wipe();
  const { controller } = await start();
  await until(() => expect(controller.readiness().ready).toBe(true));
  expect(await restore(controller, 'document', JSON.parse(first))).toMatchObject({ ok: true });
  const recordsOf = (text: string): unknown => (JSON.parse(text) as { records: unknown }).records;
  await until(async () =>
    expect(recordsOf(await must(controller.copy({ tokens: true })))).toEqual(recordsOf(first)),
  );
  expect((await look(controller, 'document', JSON.parse(first))).changes).toEqual([]);
});

test('what is no whole copy is refused, with what is wrong', async () => {
  const { controller } = await installation();
  const whole = JSON.parse(await must(controller.copy({ tokens: false }))) as Record<string, unknown>;
  for (const [changed, says] of [
    [{ v: 2 }, /v: is 2, and this release reads 1/],
    [{ format: 'other' }, /format/],
    [{ count: 0 }, /count/],
    [{ records: [{ record: 'intents/shop', value: {} }], count: 1 }, /checksum/],
  ] as const) {
    const mutation = {
      kind: 'restore_copy',
      from: 'document',
      which: 'newest',
      diff: null,
      prune: false,
    } as const;
    const answer = await controller.mutate({ ...mutation, document: { ...whole, ...changed } }, CONTEXT);
    expect(answer).toMatchObject({
      error: { code: 'invalid_request', detail: expect.stringMatching(says) as string },
    });
  }
});

test('a directory that takes no file is named in the log, and the copy in Redis is kept nevertheless', async () => {
  mkdirSync(join(stateDir, 'copy.next.json'));
  writeFileSync(join(stateDir, 'copy.json'), 'cut off');
  const { controller } = await installation();
  await until(async () =>
    expect(await command('HGET', '{ebb}:copy:records', 'freezes/freeze')).toMatch(/disk died/),
  );
  expect(
    await controller.mutate(
      { kind: 'restore_copy', from: 'file', which: 'newest', document: null, diff: null, prune: false },
      CONTEXT,
    ),
  ).toMatchObject({ error: { detail: expect.stringMatching(/not JSON/) as string } });
});
