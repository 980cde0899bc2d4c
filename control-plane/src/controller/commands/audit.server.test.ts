import { describe, expect, test } from 'vitest';
import type { AuditQuery, AuditRecord } from '../../model/audit.js';
import type { Mutation } from '../../model/mutation.js';
import {
  CONTEXT,
  done,
  drainOf,
  lead,
  only,
  peers,
  refused,
  resultOf,
} from '../../testing/controller_plays.js';
import { register, servers, start, type Running, until, useServers } from '../../testing/controller_rig.js';

/*
 * The record of each change, and how a change is taken back, from the door to ZooKeeper.
 */

useServers();

const ALL: AuditQuery = { service: null, actor: null, verb: null, since: null, before: null, limit: 100 };

/** The records, oldest first. */
async function records(
  { controller }: Running,
  query: Partial<AuditQuery> = {},
): Promise<readonly AuditRecord[]> {
  const page = await controller.auditPage({ ...ALL, ...query });
  if (!page.ok) throw new Error(page.error);
  return page.value.items.toReversed();
}

const FORCED = { force: true, reason: 'it is a rehearsal' };
const HOST: Mutation = {
  kind: 'drain',
  selector: { host: '10.0.0.1' },
  timeout_ms: null,
  on_timeout: 'wait',
};

describe('the record of a change', () => {
  test('says who, what, of what, before and after, why and from where; once, and only of what was changed', async () => {
    for (const id of ['a', 'b']) await register(id);
    const running = await lead();
    const origin = { token: 'ci', from: '10.9.9.9 via 10.9.9.1', request_id: 'req-7' };
    const keyed = { idempotency_key: 'k-1', origin, reason: 'new kernel', expires_ms: 3_600_000 };
    const { operation } = await done(running, drainOf('a'), keyed);
    await done(running, drainOf('a'), keyed);
    await done(running, drainOf('b'), { ...FORCED, dry_run: true });
    expect(await refused(running, drainOf('b'))).toMatchObject({ code: 'guard_refused' });
    const [record, ...others] = await records(running);
    expect(others).toEqual([]);
    expect(record).toMatchObject({
      ...{ n: 1, by: 'ann', verb: 'drain', object: 'shop/a', services: ['shop'], ...origin },
      ...{ reason: 'new kernel', force: false, overruled: [], operation: operation?.id, release: null },
      ...{ idempotency_key: 'k-1', undoes: null, more_changes: 0 },
      undo: { kind: 'apart' },
    });
    expect(await running.controller.auditRecord(1)).toMatchObject({
      value: {
        undo: { kind: 'services', services: [{ service: 'shop', instances: [{ id: 'a', before: null }] }] },
      },
    });
    expect(record?.changes).toContainEqual({
      ...{ service: 'shop', instance: 'a', field: 'state', from: 'up', to: 'draining' },
    });
    expect(Date.parse(record?.until ?? '') - Date.parse(record?.at ?? '')).toBe(3_600_000);
    await done(running, drainOf('b'), FORCED);
    expect((await records(running)).at(-1)).toMatchObject({
      ...{ n: 2, force: true, reason: FORCED.reason },
      overruled: [expect.stringMatching(/shop/)],
    });
  });

  test('is left by every kind of change, under its verb', async () => {
    for (const id of ['a', 'b']) await register(id);
    await register('c', servers.writer, 'shop', { version: 'v2' });
    const running = await lead();
    const { controller } = running;
    const gateway = { gateway: 'g-1' };
    const { operation } = await done(running, drainOf('a'));
    for (const mutation of [
      { kind: 'cancel_operation', id: operation?.id ?? '' },
      { kind: 'isolate', selector: only('a') },
      { kind: 'restore', selector: only('a') },
      { kind: 'set_weights', service: 'shop', weights: { a: 7 } },
      { kind: 'set_versions', service: 'shop', versions: { v1: 100 } },
      { kind: 'patch_spec', service: 'shop', spec: { retry: { tries: 3 } } },
      { kind: 'freeze', service: 'shop' },
      { kind: 'unfreeze', service: 'shop' },
      { kind: 'freeze_all' },
      { kind: 'unfreeze_all' },
      { kind: 'join_gateway', ...gateway },
      { kind: 'forget_gateway', ...gateway },
      { kind: 'join_gateway', gateway: 'g-2' },
      { kind: 'forget_gateways', gateways: ['g-2'], never_heard: true },
      { kind: 'undo', record: null },
    ] satisfies Mutation[])
      await done(running, mutation).catch((error: unknown) => {
        // Of what nothing takes back: the newest is that.
        if (mutation.kind !== 'undo') throw error;
      });
    const release = {
      ...{ service: 'shop', target: 'v2', stable: 'v1', strategy: null, like: null, gates: {} },
      ...{ deadline_ms: null, start_deadline_ms: null, min_ready: null, supersede: false, plan_hash: null },
    };
    const begun = await controller.releases.begin(release, CONTEXT);
    if (!begun.ok) throw new Error(begun.error.detail);
    const { id } = begun.value.release;
    const abort = { verb: 'abort', expected_step: null, full: false } as const;
    expect(await controller.releases.move(id, abort, CONTEXT)).toMatchObject({ ok: true });
    const all = await records(running);
    expect(all.map(({ verb, object }) => `${verb} ${object}`)).toEqual([
      'drain shop/a',
      `cancel_operation ${operation?.id ?? ''}`,
      ...['isolate shop/a', 'restore shop/a', 'set_weights shop', 'set_versions shop', 'patch_spec shop'],
      ...['freeze shop', 'unfreeze shop', 'freeze_all *', 'unfreeze_all *'],
      ...['join_gateway g-1', 'forget_gateway g-1', 'join_gateway g-2', 'forget_gateways g-2 never heard'],
      ...[`start_release shop/${id}`, `abort_release shop/${id}`],
    ]);
    expect(all.map(({ n }) => n)).toEqual(all.map((_, at) => at + 1));
    expect(all.filter(({ changes }) => changes.length === 0)).toEqual([]);
    expect(all.filter((one) => one.release === id)).toHaveLength(2);
    const ofShop = await records(running, { service: 'shop' });
    expect(ofShop.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17]);
  });

  test('is numbered on by the next leader, read by a standby, and never written by one that is passed over', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    await done(first, { kind: 'set_weights', service: 'shop', weights: { a: 1 } });
    const second = await start();
    await until(() => expect(second.controller.hasView()).toBe(true));
    expect(await records(second)).toMatchObject([{ n: 1, verb: 'set_weights' }]);
    expect(await refused(second, drainOf('a'))).toMatchObject({ code: 'not_leader' });
    await first.close();
    await until(() => expect(second.controller.readiness().controller.state).toBe('leading'));
    await done(second, { kind: 'set_weights', service: 'shop', weights: { a: 2 } }, { by: 'bob' });
    expect((await records(second)).map(({ n, by }) => [n, by])).toEqual([
      [1, 'ann'],
      [2, 'bob'],
    ]);
  });

  test('60 changes side by side, some of them of all services, leave one each', async () => {
    for (const id of ['a', 'b'])
      for (const service of ['shop', 'cart']) await register(id, servers.writer, service);
    const running = await lead();
    const services = ['shop', 'cart'];
    const asked = Array.from({ length: 60 }, (_, n): Promise<unknown> => {
      const context = { origin: { ...CONTEXT.origin, request_id: `r-${String(n)}` } };
      const weights = { b: n + 1 };
      if (n % 20 > 0)
        return done(running, { kind: 'set_weights', service: services[n % 2]!, weights }, context);
      const kind = n % 40 === 0 ? 'isolate' : 'restore';
      const origin = { ...context, force: true, reason: 'x' };
      return done(running, { kind, selector: { host: '10.0.0.1', version: 'v1' } }, origin);
    });
    await Promise.all(asked);
    const all = await records(running);
    expect(all.map(({ n }) => n)).toEqual(Array.from({ length: 60 }, (_, at) => at + 1));
    expect(new Set(all.map((one) => one.request_id)).size).toBe(60);
  });
});

describe('undo', () => {
  test('takes a mistaken selector over services back, as a change that can be undone itself', async () => {
    for (const service of ['shop', 'cart']) {
      await register('a', servers.writer, service);
      await register('b', servers.writer, service, { host: '10.0.0.2' });
    }
    const running = await lead();
    const { operation } = await done(running, HOST, { reason: 'the other host was meant' });
    expect([await peers('shop'), await peers('cart')]).toMatchObject([
      { a: 'draining 0' },
      { a: 'draining 0' },
    ]);
    const dry = await done(running, { kind: 'undo', record: null }, { dry_run: true });
    expect(dry.changes).toContainEqual({
      ...{ service: 'cart', instance: 'a', field: 'state', from: 'draining', to: 'up' },
    });
    expect(await records(running)).toHaveLength(1);
    expect(dry.undoes).toMatchObject({ n: 1, by: 'ann', verb: 'drain', object: 'host=10.0.0.1' });
    const keyed = { idempotency_key: 'u-1', reason: 'wrong host' };
    await done(running, { kind: 'undo', record: null }, keyed);
    expect([await peers('shop'), await peers('cart')]).toMatchObject([{ a: 'up 100' }, { a: 'up 100' }]);
    await until(() => expect(resultOf(running, operation?.id ?? '')).toBe('superseded'));
    // The same request again means the same record, and changes nothing.
    await done(running, { kind: 'undo', record: null }, keyed);
    const all = await records(running);
    expect(all.map(({ verb, undoes }) => [verb, undoes])).toEqual([
      ['drain', null],
      ['undo', 1],
    ]);
    expect(all[1]).toMatchObject({ object: 'drain of host=10.0.0.1', services: ['cart', 'shop'] });
    expect(await refused(running, { kind: 'undo', record: null })).toMatchObject({
      code: 'not_found',
      detail: expect.stringMatching(/^ann has changed nothing lately that is not undone/),
    });
    await done(running, { kind: 'undo', record: 2 });
    expect([await peers('shop'), await peers('cart')]).toMatchObject([
      { a: 'draining 0' },
      { a: 'draining 0' },
    ]);
  });

  test('the last of who asks, whatever others did meanwhile; what they changed of it is in the way', async () => {
    for (const id of ['a', 'b']) await register(id);
    const running = await lead();
    const weigh = (a: number, by: string) =>
      done(running, { kind: 'set_weights', service: 'shop', weights: { a } }, { by });
    await weigh(1, 'ann');
    await done(
      running,
      { kind: 'patch_spec', service: 'shop', spec: { retry: { tries: 3 } } },
      { by: 'bob' },
    );
    await done(running, { kind: 'undo', record: null });
    expect(await peers()).toMatchObject({ a: 'up 100' });
    expect(running.controller.service('shop')?.spec.retry.tries).toBe(3);
    await weigh(5, 'ann');
    await weigh(6, 'bob');
    expect(await refused(running, { kind: 'undo', record: null })).toMatchObject({
      code: 'conflict',
      detail: expect.stringMatching(/Changed since set_weights of shop .*: shop\/a \(now .*bob/),
    });
    await done(running, { kind: 'undo', record: null }, { by: 'bob' });
    expect(await peers()).toMatchObject({ a: 'up 5' });
  });

  test('the freeze of everything; not a release, nor the roster, and it says what to do instead', async () => {
    await register('a');
    await register('b', servers.writer, 'shop', { version: 'v2' });
    const running = await lead();
    const { controller } = running;
    const key = { idempotency_key: 'f-1' };
    await done(running, { kind: 'freeze_all' }, { reason: 'payday' });
    await done(running, { kind: 'undo', record: 1 }, key);
    await done(running, { kind: 'undo', record: 1 }, key);
    expect(controller.intents()).toEqual([]);
    expect(await refused(running, { kind: 'undo', record: 1 })).toMatchObject({ code: 'conflict' });
    await done(running, { kind: 'undo', record: 2 });
    expect(controller.intents()).toMatchObject([
      { service: '*', kind: 'freeze', by: 'ann', reason: 'payday' },
    ]);
    await done(running, { kind: 'unfreeze_all' });
    await done(running, { kind: 'join_gateway', gateway: 'g-1' });
    expect(await refused(running, { kind: 'undo', record: null })).toMatchObject({
      code: 'conflict',
      detail:
        'Join_gateway of g-1 (record 5, by ann) cannot be undone: a gateway that does not serve is taken out by `ebbgate gateway forget`',
    });
    expect(await refused(running, { kind: 'undo', record: 99 })).toMatchObject({ code: 'not_found' });
  });

  test('shares are not set under a running release', async () => {
    await register('a');
    await register('b', servers.writer, 'shop', { version: 'v2' });
    const running = await lead();
    await done(running, { kind: 'set_versions', service: 'shop', versions: { v1: 100 } });
    const release = {
      ...{ service: 'shop', target: 'v2', stable: 'v1', strategy: null, like: null, gates: {} },
      ...{ deadline_ms: null, start_deadline_ms: null, min_ready: null, supersede: false, plan_hash: null },
    };
    expect(await running.controller.releases.begin(release, CONTEXT)).toMatchObject({ ok: true });
    expect(await refused(running, { kind: 'undo', record: 1 })).toMatchObject({
      detail: expect.stringMatching(/steers the shares/),
    });
  });
});
