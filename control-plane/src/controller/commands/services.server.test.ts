import { describe, expect, test } from 'vitest';
import type { IntentRecord } from '../../model/intent.js';
import type { Mutation, MutationResource } from '../../model/mutation.js';
import { KEYS } from '../../redis/keys.js';
import {
  CONTEXT,
  Gateway,
  done,
  drainOf,
  enrolled,
  lead,
  only,
  peers,
  recorded,
  refused,
  resultOf,
} from '../../testing/controller_plays.js';
import { command, register, servers, type Running, until, useServers } from '../../testing/controller_rig.js';
import { createPath } from '../../zookeeper/create_path.js';

/*
 * Commands of services, from the door to what is proven and recorded.
 */

useServers();

describe('a drain', () => {
  test('is proven by every gateway’s ack and zero, and not before', async () => {
    for (const id of ['a', 'b']) await register(id);
    const [one, two] = [new Gateway('g-1'), new Gateway('g-2')];
    one.open.set('a', 2);
    const running = await lead();
    expect(await peers()).toEqual({ a: 'up 100', b: 'up 100' });
    await enrolled(running, 'g-1', 'g-2');
    await until(() => expect(one.applied).not.toBeNull());
    two.follows = false;
    const { operation, published } = await done(running, drainOf('a'));
    expect(published).toBe(true);
    expect(await peers()).toEqual({ a: 'draining 0', b: 'up 100' });
    const id = operation?.id ?? '';
    const waitsFor = (what: RegExp): Promise<unknown> =>
      until(() => {
        expect(running.controller.operation(id)).toMatchObject({ state: 'running', result: null });
        expect(running.controller.operation(id)?.waiting_for.join('; ')).toMatch(what);
      });
    await waitsFor(/g-1 still has 2 .*g-2 .*has not acked/);
    two.follows = true;
    await waitsFor(/^gateway g-1 still has 2 open requests$/);
    two.uncounted = 1;
    await waitsFor(/g-1 still has 2 .*g-2 has 1 open requests that it could not count/);
    one.open.clear();
    await waitsFor(/^gateway g-2 has 1 open requests that it could not count/);
    two.pause();
    await waitsFor(/^gateway g-2 has been silent/);
    two.uncounted = 0;
    two.rejects = [{ service: 'shop', generation: 1, code: 'bad_document' }];
    two.resume();
    await waitsFor(/^gateway g-2 rejected/);
    two.rejects = [];
    await until(() => expect(resultOf(running, id)).toBe('drained'));
    await until(async () => expect(await recorded(id)).toBe('drained'));
  });

  test('goes on through a restart of the controller, and its deadline waits until gateways could be heard', async () => {
    for (const id of ['a', 'b']) await register(id);
    const gateway = new Gateway('g-1');
    gateway.open.set('a', 1);
    const first = await lead();
    await enrolled(first, 'g-1');
    const { operation } = await done(first, drainOf('a', { timeout_ms: 1_000, on_timeout: 'undrain' }));
    const id = operation?.id ?? '';
    await first.close();
    gateway.open.clear();
    const deadline = Date.parse(operation?.deadline ?? '');
    await until(() => expect(Date.now()).toBeGreaterThan(deadline));
    const second = await lead();
    await until(async () => expect(await recorded(id)).toBe('drained'));
    expect(second.controller.operation(id)).toMatchObject({ state: 'done', result: 'drained' });
    expect(await peers()).toEqual({ a: 'draining 0', b: 'up 100' });
  });

  test('a repeated Idempotency-Key acts once, also by another controller', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    const key = { idempotency_key: 'k-1' };
    const { operation } = await done(first, drainOf('a'), key);
    expect((await done(first, drainOf('a'), key)).operation?.id).toBe(operation?.id);
    expect(await refused(first, drainOf('b'), key)).toMatchObject({ code: 'idempotency_conflict' });
    await first.close();
    const second = await lead();
    expect(await done(second, drainOf('a'), key)).toMatchObject({
      published: true,
      operation: { id: operation?.id },
    });
  });

  test('what 60 changes of people were is shown by the next controller too, whatever instances do', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    for (let weight = 1; weight <= 60; weight += 1)
      await done(first, { kind: 'set_weights', service: 'shop', weights: { a: weight } });
    const shown = (running: Running): readonly string[] =>
      (running.controller.events('shop') ?? [])
        .filter(({ event }) => event === 'weight_changed')
        .map(({ message }) => /^weight set to \d+/.exec(message)?.[0] ?? '');
    const all = Array.from({ length: 60 }, (_, i) => `weight set to ${String(i + 1)}`);
    await until(() => expect(shown(first)).toEqual(all));
    await first.close();
    const second = await lead();
    await until(() => expect(shown(second)).toEqual(all));
  });

  test('an intent that expires is taken back and published', async () => {
    for (const id of ['a', 'b']) await register(id);
    const running = await lead();
    await done(running, { kind: 'isolate', selector: only('a') }, { expires_ms: 700 });
    expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 100' });
    await until(async () => expect(await peers()).toEqual({ a: 'up 100', b: 'up 100' }));
    await until(() => expect(running.controller.intents()).toEqual([]));
    await until(() =>
      expect(running.controller.events('shop')?.map((one) => one.event)).toContain('expired'),
    );
  });
});

describe('changes in parallel', () => {
  test('60 of one service, and 20 of several, queue: each takes effect once', async () => {
    for (const id of ['a', 'b']) await register(id);
    await register('c', servers.writer, 'shop', { version: 'v2' });
    await register('d', servers.writer, 'other', { version: 'v2' });
    const running = await lead();
    const weigh = (weight: number): Promise<MutationResource> =>
      done(running, { kind: 'set_weights', service: 'shop', weights: { b: weight } });
    const host: Mutation = { kind: 'isolate', selector: { host: '10.0.0.1', version: 'v2' } };
    const back: Mutation = { ...host, kind: 'restore' };
    const outcomes = await Promise.all([
      ...Array.from({ length: 60 }, (_, n) => weigh(n + 1)),
      ...Array.from({ length: 10 }, () => [
        done(running, host, { force: true, reason: 'x' }),
        done(running, back),
      ]).flat(),
    ]);
    expect(outcomes).toHaveLength(80);
    const node = await servers.writer.getData(`${servers.root}/intents/shop`);
    const { rev } = JSON.parse(node.ok ? node.value.data.toString() : '{}') as IntentRecord;
    const weighed = outcomes
      .slice(0, 60)
      .flatMap(({ changes }) => changes.filter(({ field }) => field === 'weight'));
    // Each replaced what the one before it had set, so that every weight was in force once.
    expect(new Set(weighed.map(({ from }) => from)).size).toBe(60);
    expect(rev).toBeLessThanOrEqual(80);
    expect(rev).toBeGreaterThanOrEqual(60);
  });

  test('of those that insist on one state of the service, one succeeds', async () => {
    for (const id of ['a', 'b']) await register(id);
    const running = await lead();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        running.controller.mutate(
          { kind: 'set_weights', service: 'shop', weights: { b: n + 1 } },
          { ...CONTEXT, if_match: '0' },
        ),
      ),
    );
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
    for (const one of answers) if (!one.ok) expect(one.error.code).toBe('precondition_failed');
  });
});

describe('what is written into the intents from outside', () => {
  const path = (): string => `${servers.root}/intents/shop`;

  test('a change: the next one is decided again on top of it', async () => {
    for (const id of ['a', 'b']) await register(id);
    const running = await lead();
    await done(running, { kind: 'set_weights', service: 'shop', weights: { a: 5 } });
    const node = await servers.writer.getData(path());
    if (!node.ok) throw new Error(node.error.message);
    const record = JSON.parse(node.value.data.toString()) as IntentRecord;
    const changed = {
      ...record,
      rev: record.rev + 1,
      instances: { ...record.instances, b: { ...record.instances.a, weight: 9 } },
    };
    const writes = [5, 6, 7].map((rev) =>
      servers.writer.setData(path(), Buffer.from(JSON.stringify({ ...changed, rev })), -1),
    );
    await done(running, { kind: 'set_weights', service: 'shop', weights: { a: 6 } });
    await Promise.all(writes);
    await until(async () => expect(await peers()).toMatchObject({ b: 'up 9' }));
  });

  test('garbage: what was decided goes on, also after a restart; a change on top is refused with the reason', async () => {
    for (const id of ['a', 'b']) await register(id);
    await register('c', servers.writer, 'cart');
    const first = await lead();
    await done(first, { kind: 'patch_spec', service: 'shop', spec: { routes: [{ host: '*', path: '/' }] } });
    await done(first, { kind: 'isolate', selector: only('a') });
    const good = await servers.writer.getData(path());
    await servers.writer.setData(path(), Buffer.from('{"v":1'), -1);
    await until(() =>
      expect(first.controller.service('shop')?.problems).toMatchObject([{ code: 'damaged_intent' }]),
    );
    expect(await refused(first, { kind: 'restore', selector: only('a') })).toMatchObject({
      code: 'conflict',
      detail: expect.stringMatching(/znode/) as string,
    });
    await first.close();
    const routes = await command('HGET', KEYS.set('@routes'), 'payload');
    const second = await lead();
    expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 100' });
    expect(await command('HGET', KEYS.set('@routes'), 'payload')).toBe(routes);
    expect(second.controller.service('shop')?.problems).toMatchObject([{ code: 'damaged_intent' }]);
    expect(await refused(second, { kind: 'set_weights', service: 'shop', weights: { b: 1 } })).toMatchObject({
      code: 'conflict',
    });
    await done(second, { kind: 'set_weights', service: 'cart', weights: { c: 7 } });
    expect(await peers('cart')).toEqual({ c: 'up 7' });
    if (good.ok) await servers.writer.setData(path(), good.value.data, -1);
    await until(async () => {
      await done(second, { kind: 'restore', selector: only('a') });
      expect(await peers()).toEqual({ a: 'up 100', b: 'up 100' });
    });
  });

  test('a record of a name that no service can have stops nobody', async () => {
    await register('a');
    await createPath(servers.writer, `${servers.root}/intents`);
    const record = { v: 1, rev: 1, spec: {}, instances: {}, versions: {}, ops: [], events: [] };
    await servers.writer.create(`${servers.root}/intents/No Service`, Buffer.from(JSON.stringify(record)));
    const running = await lead();
    expect(await peers()).toEqual({ a: 'up 100' });
    expect(running.controller.services().map((one) => one.service)).toEqual(['shop']);
  });
});
