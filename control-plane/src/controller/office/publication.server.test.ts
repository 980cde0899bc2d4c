import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { KEYS } from '../../redis/keys.js';
import {
  Gateway,
  done,
  drainOf,
  enrolled,
  lead,
  leads,
  meta,
  only,
  peers,
  resultOf,
  wrap,
} from '../../testing/controller_plays.js';
import {
  command,
  passes,
  register,
  servers,
  session,
  start,
  until,
  useServers,
} from '../../testing/controller_rig.js';

/*
 * What is published, and what follows from what happens to Redis.
 */

useServers();

describe('Redis', () => {
  test('flushed: noticed without any other change, everything is published again under a new epoch, sealed', async () => {
    await register('a');
    await lead();
    const before = await meta();
    await command('FLUSHALL');
    await until(async () => expect(await meta()).toMatchObject({ sealed: '1' }));
    expect((await meta()).epoch).toBeGreaterThan(before.epoch);
    expect(await peers()).toEqual({ a: 'up 100' });
  });

  test('a set that is lost alone is put back, with an epoch for all', async () => {
    await register('a');
    const gateway = new Gateway('g-1');
    const running = await lead();
    const before = await meta();
    await until(() =>
      expect(gateway.applied).toEqual({ epoch: before.epoch, generation: before.generation }),
    );
    gateway.rejects = [{ service: 'shop', generation: before.generation, code: 'hash_mismatch' }];
    await until(async () => expect((await meta()).epoch).toBeGreaterThan(before.epoch));
    // It goes on complaining, whatever is written: that must not become a storm of epochs.
    gateway.rejects = [{ service: 'shop', generation: 1_000_000, code: 'hash_mismatch' }];
    const { epoch } = await meta();
    await passes(running, 20);
    expect((await meta()).epoch).toBe(epoch);
  });

  test('away while a change comes: accepted, not published, caught up after; nothing is proven meanwhile', async () => {
    for (const id of ['a', 'b']) await register(id);
    const gateway = new Gateway('g-1');
    const running = await lead();
    await enrolled(running, 'g-1');
    running.doors.redis.setMode('cut');
    const answer = await done(running, drainOf('a'));
    expect(answer).toMatchObject({ published: false, operation: { state: 'running' } });
    expect(await done(running, { kind: 'isolate', selector: only('a') })).toMatchObject({ published: false });
    // A second request finds nothing left to change, and that does not mean that it is out.
    expect(await done(running, { kind: 'isolate', selector: only('a') })).toMatchObject({ published: false });
    expect(await peers()).toEqual({ a: 'up 100', b: 'up 100' });
    running.doors.redis.setMode('pass');
    await until(async () => expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 100' }));
    await until(() => expect(gateway.applied?.epoch).toBe(running.controller.readiness().controller.epoch));
  });

  test('away when the controller starts: changes are taken, and nothing is published over before it is read', async () => {
    const provider = await session(30_000);
    for (const id of ['a', 'b']) await register(id);
    const path = await register('c', provider);
    const first = await lead();
    await first.close();
    await provider.remove(path, -1);
    const second = await start({ withoutRedis: true });
    await until(() => expect(second.controller.readiness().controller.epoch).not.toBeNull());
    await until(() => expect(second.controller.hasView()).toBe(true));
    expect(await done(second, { kind: 'isolate', selector: only('a') })).toMatchObject({ published: false });
    expect(await peers()).toEqual({ a: 'up 100', b: 'up 100', c: 'up 100' });
    second.doors.redis.setMode('pass');
    await leads(second);
    await until(async () => expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 100', c: 'up 100' }));
  });

  test('restarted with old data: a new epoch, everything is published again', async () => {
    for (const id of ['a', 'b']) await register(id);
    const running = await lead();
    await command('SAVE');
    await done(running, { kind: 'isolate', selector: only('a') });
    const before = await meta();
    await servers.restartRedis();
    await until(async () => expect(await meta()).toMatchObject({ sealed: '1' }));
    await until(async () => expect((await meta()).epoch).toBeGreaterThan(before.epoch));
    await until(async () => expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 100' }));
  });
});

describe('an answer that is lost', () => {
  test('of a publish: what may be published now is not what was before, and proves nothing', async () => {
    for (const id of ['a', 'b']) await register(id);
    const gateway = new Gateway('g-1');
    let lost = 0;
    const running = await lead({
      publisher: (real) =>
        wrap(real, {
          publish: async (request) => {
            const answer = await real.publish(request);
            if (lost === 0) return answer;
            return { kind: 'unavailable', reason: 'the answer is lost' };
          },
        }),
    });
    await enrolled(running, 'g-1');
    const first = await done(running, drainOf('a'));
    await until(() => expect(resultOf(running, first.operation?.id ?? '')).toBe('drained'));
    lost = 1;
    expect(await done(running, { kind: 'undrain', selector: only('a') })).toMatchObject({ published: false });
    expect(await peers()).toEqual({ a: 'up 100', b: 'up 100' });
    const second = await done(running, drainOf('a'));
    // The wanted set is, to the byte, the one whose publication was heard of last; what is published may be another.
    expect(second.published).toBe(false);
    expect(second.operation?.state).toBe('running');
    lost = 0;
    await until(async () => expect(await peers()).toEqual({ a: 'draining 0', b: 'up 100' }));
    await until(() => expect(resultOf(running, second.operation?.id ?? '')).toBe('drained'));
    expect(gateway.sets.get('shop')?.peers[0]).toMatchObject({ id: 'a', weight: 0 });
  });

  test('of the seal: it is sealed later, and the loop lives on', async () => {
    await register('a');
    let seals = 0;
    const running = await lead({
      publisher: (real) =>
        wrap(real, {
          seal: (epoch) =>
            ++seals === 1
              ? Promise.resolve({ kind: 'unavailable', reason: 'the answer is lost' })
              : real.seal(epoch),
        }),
    });
    expect(seals).toBeGreaterThan(1);
    await register('b');
    await until(async () => expect(await peers()).toEqual({ a: 'up 100', b: 'up 100' }));
    expect(running.controller.readiness().ready).toBe(true);
  });
});

test('the bytes in Redis are those of the contract', async () => {
  await register('a');
  await lead();
  const [payload, hash] = (await command('HMGET', KEYS.set('shop'), 'payload', 'hash')) as string[];
  expect(
    createHash('sha1')
      .update(payload ?? '')
      .digest('hex'),
  ).toBe(hash);
});
