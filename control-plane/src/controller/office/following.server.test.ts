import { describe, expect, test } from 'vitest';
import { done, drainOf, enrolled, Gateway, lead, leads, meta, only } from '../../testing/controller_plays.js';
import {
  command,
  passes,
  register,
  type Running,
  start,
  until,
  useServers,
} from '../../testing/controller_rig.js';

/*
 * What a standby shows: all that the leader has published, what gateways make of it, and what is proven by that.
 */

useServers();

async function standby(): Promise<Running> {
  const running = await start();
  const waits = { ready: true, controller: { state: 'standby' } };
  await until(() => expect(running.controller.readiness()).toMatchObject(waits));
  return running;
}

describe('a standby', () => {
  test('shows the set of the leader, who follows it, and the proof of a drain, as the leader does', async () => {
    for (const id of ['a', 'b']) await register(id);
    const gateway = new Gateway('g-1');
    const first = await lead();
    await enrolled(first, 'g-1');
    const second = await standby();
    gateway.open.set('a', 1);
    const { operation } = await done(first, drainOf('a'));
    const id = operation?.id ?? '';
    await until(() => expect(second.controller.set('shop')).toEqual(first.controller.set('shop')));
    await until(() => expect(second.controller.convergence('shop')).toMatchObject({ converged: true }));
    expect(second.controller.operation(id)).toMatchObject({ state: 'running', published: true });
    expect(second.controller.instance('shop', 'a')?.drain).toMatchObject({
      drained: false,
      waiting_for: ['gateway g-1 still has 1 open request'],
    });
    gateway.open.delete('a');
    await until(() =>
      expect(second.controller.instance('shop', 'a')?.drain).toMatchObject({ drained: true }),
    );
    await until(() => expect(second.controller.operation(id)).toMatchObject({ result: 'drained' }));
    expect(second.controller.readiness().controller.epoch).toBe((await meta()).epoch);
    expect(second.controller.viewAge()).toBeLessThan(2_500);
  });

  test('proves nothing while it cannot read what is published; after the next epoch it goes on', async () => {
    for (const id of ['a', 'b']) await register(id);
    const gateway = new Gateway('g-1');
    const first = await lead();
    await enrolled(first, 'g-1');
    const second = await standby();
    await done(first, drainOf('a'));
    await until(() =>
      expect(second.controller.instance('shop', 'a')?.drain).toMatchObject({ drained: true }),
    );
    second.doors.redis.setMode('swallow');
    await until(() =>
      expect(second.controller.instance('shop', 'a')?.drain).toMatchObject({
        drained: false,
        waiting_for: expect.arrayContaining([
          'Redis has not confirmed lately that what was published is still there',
        ]) as string[],
      }),
    );
    second.doors.redis.setMode('pass');
    await command('FLUSHALL');
    await until(async () => expect(await meta()).toMatchObject({ sealed: '1' }));
    await until(() => expect(gateway.applied?.epoch).toBe(first.controller.readiness().controller.epoch));
    await until(() =>
      expect(second.controller.instance('shop', 'a')?.drain).toMatchObject({ drained: true }),
    );
    expect(second.controller.set('shop')).toEqual(first.controller.set('shop'));
  });

  test('has all that was changed before it was asked to catch up', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    const second = await standby();
    for (let weight = 1; weight <= 20; weight += 1) {
      await done(first, { kind: 'set_weights', service: 'shop', weights: { b: weight } });
      await second.controller.caughtUp();
      expect(second.controller.instance('shop', 'b')?.effective.weight).toBe(weight);
      expect(second.controller.set('shop')).toEqual(first.controller.set('shop'));
      expect(second.controller.service('shop')?.etag).toBe(first.controller.service('shop')?.etag);
    }
  });

  test('drops what is gone once the leader has, and goes on from there when it leads', async () => {
    for (const id of ['a', 'b']) await register(id);
    const gateway = new Gateway('g-1');
    const first = await lead();
    await enrolled(first, 'g-1');
    const second = await standby();
    await register('c', undefined, 'shop', { leaving: true });
    await until(() => expect(second.controller.instance('shop', 'c')).toMatchObject({ leaving: true }));
    await first.close();
    await leads(second);
    await until(() => expect(gateway.applied?.epoch).toBe(second.controller.readiness().controller.epoch));
    await until(() =>
      expect(second.controller.instance('shop', 'c')?.drain).toMatchObject({ drained: true }),
    );
    const third = await standby();
    await done(second, { kind: 'isolate', selector: only('a') });
    await third.controller.caughtUp();
    await passes(third, 2);
    expect(third.controller.set('shop')).toEqual(second.controller.set('shop'));
  });
});
