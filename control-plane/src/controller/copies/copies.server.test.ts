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
async function look(plane: ControlPlane, from: From, document: unknown = null): Promise<MutationResource> {
  const mutation = { kind: 'restore_copy', from, which: 'newest', document, diff: null } as const;
  return must(plane.mutate(mutation, { ...CONTEXT, dry_run: true }));
}
async function restore(plane: ControlPlane, from: From, document: unknown = null) {
  const { diff = null } = await look(plane, from, document);
  return plane.mutate({ kind: 'restore_copy', from, which: 'newest', document, diff }, CONTEXT);
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
  await must(controller.mutate({ kind: 'freeze_all' }, CONTEXT));
  return running;
}

async function copied(): Promise<void> {
  await until(async () => {
    expect(await command('HGET', '{ebb}:copy:records', 'freezes/freeze')).toMatch(/disk died/);
    expect(readFileSync(join(stateDir, 'copy.json'), 'utf8')).toMatch(/"record":"freezes\/freeze"/);
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
    expect(statSync(join(stateDir, 'copy.json')).mode & 0o777).toBe(0o600);
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
    expect(seen).toBeTruthy();
    const stale = { kind: 'restore_copy', from, which: 'newest', document: null, diff: 'other' } as const;
    expect(await controller.mutate(stale, CONTEXT)).toMatchObject({
      error: { code: 'conflict', field: 'diff' },
    });
    expect(await restore(controller, from)).toMatchObject({ ok: true, value: { published: true } });
    await until(() => expect(controller.readiness()).toMatchObject({ ready: true, data_loss: null }));
    expect(isolated(controller)).toEqual(was);
    expect(controller.set('shop')?.document).toEqual(published?.document);
    expect(controller.copy()).toMatch(/"record":"freezes\/freeze"/);
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
});

test('exported, imported into an empty truth, and exported again: the same records', async () => {
  const before = await installation();
  const first = before.controller.copy() ?? '';
  await before.close();
  await command('FLUSHALL');
  wipe();
  const { controller } = await start();
  await until(() => expect(controller.readiness().ready).toBe(true));
  expect(await restore(controller, 'document', JSON.parse(first))).toMatchObject({ ok: true });
  const recordsOf = (text: string | null): unknown =>
    (JSON.parse(text ?? '') as { records: unknown }).records;
  await until(() => expect(recordsOf(controller.copy())).toEqual(recordsOf(first)));
  expect((await look(controller, 'document', JSON.parse(first))).changes).toEqual([]);
});

test('what is no whole copy is refused, with what is wrong', async () => {
  const { controller } = await installation();
  const whole = JSON.parse(controller.copy() ?? '') as Record<string, unknown>;
  for (const [changed, says] of [
    [{ v: 2 }, /v: is 2, and this release reads 1/],
    [{ format: 'other' }, /format/],
    [{ count: 0 }, /count/],
    [{ records: [{ record: 'intents/shop', value: {} }], count: 1 }, /checksum/],
  ] as const) {
    const mutation = { kind: 'restore_copy', from: 'document', which: 'newest', diff: null } as const;
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
      { kind: 'restore_copy', from: 'file', which: 'newest', document: null, diff: null },
      CONTEXT,
    ),
  ).toMatchObject({ error: { detail: expect.stringMatching(/not JSON/) as string } });
});
