import { expect, test } from 'vitest';
import type { IntentRecord } from '../model/intent.js';
import { done, enrolled, Gateway, lead, peers, refused } from '../testing/controller_plays.js';
import { log, register, servers, until, useServers, type Running } from '../testing/controller_rig.js';
import { createMetrics } from './metrics.js';

/*
 * Instances that vanish, and what people say of them, on a real ZooKeeper and a real Redis.
 */

useServers();

const states = async (): Promise<Record<string, string>> =>
  Object.fromEntries(Object.entries(await peers()).map(([id, text]) => [id, text.split(' ')[0] ?? '']));

async function vanish(...paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const removed = await servers.writer.remove(path, -1);
    if (!removed.ok) throw new Error(removed.error.message);
  }
}

async function registerAll(ids: readonly string[]): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const id of ids) paths.push(await register(id));
  return paths;
}

/** Says that it wants to stop, as a registrar does. */
async function leave(path: string): Promise<void> {
  const node = await servers.writer.getData(path);
  if (!node.ok) throw new Error(node.error.message);
  const data = { ...(JSON.parse(node.value.data.toString()) as object), leaving: true };
  const written = await servers.writer.setData(path, Buffer.from(JSON.stringify(data)), -1);
  if (!written.ok) throw new Error(written.error.message);
}

async function record(): Promise<IntentRecord> {
  const node = await servers.writer.getData(`${servers.root}/intents/shop`);
  if (!node.ok) throw new Error(node.error.message);
  return JSON.parse(node.value.data.toString()) as IntentRecord;
}

const holds = ({ controller }: Running) => controller.service('shop')?.holds ?? [];
const lines = (pattern: RegExp) => log.lines.filter(({ message }) => pattern.test(message));

test('a set becomes empty by nobody but a person, through a change of the leader; who registers meanwhile is not meant', async () => {
  const paths = await registerAll(['a', 'b', 'c']);
  new Gateway('g-1');
  const first = await lead();
  await enrolled(first, 'g-1');
  await vanish(...paths);
  await until(async () => expect(await states()).toEqual({ a: 'suspect', b: 'suspect', c: 'suspect' }));
  const [hold] = holds(first);
  expect(hold).toMatchObject({ kind: 'last', instances: ['a', 'b', 'c'], until: null });
  expect(first.controller.problems()).toMatchObject([{ code: 'all_vanished', service: 'shop' }]);
  expect(first.controller.problems()[0]?.message).toContain('ebbgate accept shop --reason');
  const page = await createMetrics(first.controller)();
  expect(page).toContain('ebbgate_hold_ends_timestamp_seconds{service="shop",kind="last"} +Inf');
  expect(page).toContain('ebbgate_held_instances{service="shop",kind="last"} 3');
  await first.close();

  const second = await lead();
  await until(() => expect(holds(second)).toMatchObject([{ kind: 'last', instances: ['a', 'b', 'c'] }]));
  await until(async () => expect(await states()).toEqual({ a: 'suspect', b: 'suspect', c: 'suspect' }));
  const accept = { kind: 'accept', service: 'shop' } as const;
  const tried = await done(second, accept, { dry_run: true });
  expect(tried.changes).toContainEqual({
    ...{ service: 'shop', instance: 'a', field: 'state', from: 'suspect', to: 'gone' },
  });
  expect(await states()).toEqual({ a: 'suspect', b: 'suspect', c: 'suspect' });
  await register('b');
  await until(async () => expect(await states()).toMatchObject({ b: 'up' }));
  const key = { reason: 'switched off', idempotency_key: 'k-1' };
  await done(second, accept, key);
  await until(async () => expect(await states()).toEqual({ b: 'up' }));
  await until(async () => expect(await record()).not.toHaveProperty('accepted'));
  const { events } = await record();
  expect(events).toMatchObject([{ event: 'loss_accepted', by: 'ann', reason: 'switched off' }]);
  await done(second, accept, key);
  expect((await record()).events).toEqual(events);
  // It cannot be undone: what is gone comes back by registering.
  const undo = await refused(second, { kind: 'undo', record: null });
  expect(undo).toMatchObject({ code: 'conflict' });
  expect(undo.detail).toMatch(/Accept of shop .*cannot be undone: a word about instances/);
  expect(holds(second)).toEqual([]);
  expect(second.controller.problems()).toEqual([]);
  expect(lines(/^hold ended: 2 gone/)).not.toEqual([]);
  expect((await refused(second, { kind: 'accept', service: 'shpo' })).code).toBe('not_found');
});

test('four of ten that leave by their registrars are not kept; four that vanish are, explained, and then go by themselves', async () => {
  const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];
  const paths = await registerAll(ids);
  new Gateway('g-1');
  const running = await lead({ suspectMs: 2_500 });
  await enrolled(running, 'g-1');
  const gone = paths.slice(0, 4);
  for (const path of gone) await leave(path);
  await until(async () => expect(await states()).toMatchObject({ a: 'draining', d: 'draining' }));
  await vanish(...gone);
  await until(async () => expect(Object.keys(await states())).toEqual(ids.slice(4)));
  expect(holds(running)).toEqual([]);
  for (const id of ids.slice(0, 4)) await register(id);
  await until(async () => expect(Object.values(await states())).toEqual(ids.map(() => 'up')));

  const before = lines(/^hold /).length;
  await vanish(...paths.slice(6));
  await until(async () => expect(await states()).toMatchObject({ f: 'up', g: 'suspect', j: 'suspect' }));
  const [hold] = holds(running);
  expect(hold).toMatchObject({ kind: 'suspect', instances: ['g', 'h', 'i', 'j'], by: null });
  expect(Date.parse(hold?.until ?? '') - Date.now()).toBeLessThan(2_500);
  expect(hold?.message).toMatch(/until .*ebbgate hold shop .*ebbgate accept shop/);
  await until(async () => expect(Object.keys(await states())).toEqual(ids.slice(0, 6)));
  await until(() => expect(holds(running)).toEqual([]));
  const logged = lines(/^hold /)
    .slice(before)
    .filter(({ fields }) => (fields as { hold?: string }).hold === 'suspect');
  expect(logged.map(({ message }) => message.slice(0, 10))).toEqual(['hold began', 'hold ended']);
  // They went as they had come, one within milliseconds of another.
  expect(logged[1]?.message).toMatch(/^hold ended: [1-4] gone$/);
});

test('a person holds a service before anything vanishes: a single one stays, through a change of the leader, until the end', async () => {
  const paths = await registerAll(['a', 'b', 'c', 'd']);
  new Gateway('g-1');
  const first = await lead();
  await enrolled(first, 'g-1');
  const hold = { kind: 'hold', service: 'shop' } as const;
  expect((await refused(first, hold, { reason: '', expires_ms: 1 })).field).toBe('reason');
  expect((await refused(first, hold)).field).toBe('expires');
  await done(first, hold, { reason: 'work on ZooKeeper', expires_ms: 3_600_000 });
  expect(holds(first)).toMatchObject([{ kind: 'person', instances: [], by: 'ann' }]);
  expect(first.controller.intents()).toMatchObject([{ service: 'shop', kind: 'hold', by: 'ann' }]);
  await vanish(paths[0] ?? '');
  await until(async () => expect(await states()).toMatchObject({ a: 'suspect', b: 'up' }));
  await first.close();

  const second = await lead();
  await until(() =>
    expect(holds(second)).toMatchObject([
      { kind: 'person', instances: ['a'], by: 'ann', reason: 'work on ZooKeeper' },
    ]),
  );
  await until(async () => expect(await states()).toMatchObject({ a: 'suspect', b: 'up' }));
  const { changes } = await done(second, hold, { reason: 'nearly done', expires_ms: 1_500 });
  expect(changes).toMatchObject([{ field: 'hold' }]);
  await until(async () => expect((await record()).events.at(-1)).toMatchObject({ event: 'expired' }));
  expect(await record()).not.toHaveProperty('hold');
  expect(lines(/^hold shortened: held by ann/)).not.toEqual([]);
  await done(second, { kind: 'accept', service: 'shop' });
  await until(async () => expect(Object.keys(await states())).toEqual(['b', 'c', 'd']));
});
