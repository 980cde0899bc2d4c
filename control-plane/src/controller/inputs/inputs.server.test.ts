import { describe, expect, test } from 'vitest';
import { systemClock } from '../../clock.js';
import {
  Gateway,
  done,
  drainOf,
  enrolled,
  lead,
  only,
  peers,
  projection,
  recorded,
  refused,
  resultOf,
  wrap,
} from '../../testing/controller_plays.js';
import {
  SETTLE_MS,
  createSkippingClock,
  passes,
  register,
  servers,
  session,
  start,
  until,
  useServers,
} from '../../testing/controller_rig.js';

/*
 * What comes in from ZooKeeper, and what happens while nothing does.
 */

useServers();

test('from the moment of a complete view on, everything that is registered is known', async () => {
  await register('a');
  // Redis answers late, so that the first pass is under way for a while after everything was read.
  const { controller } = await start({
    publisher: (real) => wrap(real, { meta: () => systemClock.sleep(100).then(() => real.meta()) }),
  });
  while (!controller.hasView()) await new Promise((resolve) => setImmediate(resolve));
  expect(controller.instance('shop', 'a')).toMatchObject({ registered: true });
  expect(controller.services().map(({ service }) => service)).toEqual(['shop']);
});

test('a controller that was suspended itself takes nobody out by the clock alone', async () => {
  const provider = await session(30_000);
  for (const id of ['a', 'b', 'c', 'd']) await register(id);
  const path = await register('e', provider);
  const clock = createSkippingClock();
  const running = await lead({ clock });
  clock.skip(SETTLE_MS); // the start's own settling
  await passes(running, 2);
  await provider.remove(path, -1);
  await until(() => expect(running.controller.instance('shop', 'e')?.registered).toBe(false));
  clock.skip(60_000);
  await passes(running, 3);
  expect(await peers()).toMatchObject({ e: 'up 100' });
  await register('e', provider);
  await until(() => expect(running.controller.instance('shop', 'e')?.registered).toBe(true));
  expect(running.controller.events('shop')?.map((one) => one.event)).not.toContain('lost');
});

describe('ZooKeeper', () => {
  test.each(['cut', 'swallow'] as const)(
    '%s: no change is taken, in bounded time; a published drain still confirms',
    async (mode) => {
      for (const id of ['a', 'b']) await register(id);
      const gateway = new Gateway('g-1');
      gateway.open.set('a', 1);
      const running = await lead();
      await enrolled(running, 'g-1');
      const { operation } = await done(running, drainOf('a'));
      const id = operation?.id ?? '';
      running.doors.zookeeper.setMode(mode);
      const asked = performance.now();
      expect(await refused(running, { kind: 'isolate', selector: only('b') }, { force: true })).toMatchObject(
        {
          code: 'store_unavailable',
        },
      );
      expect(performance.now() - asked).toBeLessThan(8_000);
      expect(resultOf(running, id)).toBeNull();
      gateway.open.clear();
      await until(() =>
        expect(running.controller.operation(id)).toMatchObject({ state: 'done', result: 'drained' }),
      );
      expect(running.controller.operation(id)?.ended_at).toBeNull();
      expect(await recorded(id)).toBeUndefined();
      running.doors.zookeeper.setMode('pass');
      await until(async () => expect(await recorded(id)).toBe('drained'));
      expect(await peers()).toEqual({ a: 'draining 0', b: 'up 100' });
    },
  );

  test('frozen past every provider’s session and thawed: no instance is lost', async () => {
    const provider = await session(1_000);
    for (const id of ['a', 'b', 'c']) await register(id, provider);
    const clock = createSkippingClock();
    const running = await lead({ suspectMs: 60_000, clock });
    const before = await projection();
    servers.zookeeper.kill('SIGSTOP');
    // The controller's own session, of 3 s, is the longest.
    await until(() => expect(running.controller.readiness().zookeeper.state).not.toBe('ok'));
    servers.zookeeper.kill('SIGCONT');
    await until(async () => {
      const left = await servers.writer.getChildren(`${servers.services}/shop/providers`);
      if (!left.ok) servers.writer = await session(30_000);
      expect(left.ok && left.value.names).toEqual([]);
    });
    const asBefore = { a: 'up 100', b: 'up 100', c: 'up 100' };
    await passes(running, 3);
    expect(await peers()).toEqual(asBefore);
    const again = await session(30_000);
    for (const id of ['a', 'b', 'c']) await register(id, again);
    await until(() => expect(running.controller.instance('shop', 'c')?.registered).toBe(true));
    clock.skip(SETTLE_MS);
    await passes(running, 3);
    expect(await peers()).toEqual(asBefore);
    expect((await projection()).length).toBe(before.length);
  });

  test('away when an instance was just missing: time alone takes nobody out', async () => {
    const provider = await session(30_000);
    for (const id of ['a', 'b', 'c', 'd']) await register(id);
    const path = await register('e', provider);
    const clock = createSkippingClock();
    const running = await lead({ clock });
    clock.skip(SETTLE_MS); // the start's own settling
    await passes(running, 2);
    await provider.remove(path, -1);
    await until(() => expect(running.controller.instance('shop', 'e')?.registered).toBe(false));
    running.doors.zookeeper.setMode('cut');
    await until(() => expect(running.controller.readiness().zookeeper.state).not.toBe('ok'));
    await register('e', provider);
    clock.skip(SETTLE_MS);
    await passes(running, 3);
    expect(await peers()).toMatchObject({ e: 'up 100' });
    running.doors.zookeeper.setMode('pass');
    await until(() => expect(running.controller.instance('shop', 'e')?.registered).toBe(true));
    expect(running.controller.events('shop')?.map((one) => one.event)).not.toContain('lost');
  });

  test('a restart of the controller while instances vanish: they are kept, in their own proportion', async () => {
    const provider = await session(30_000);
    for (const id of ['a', 'b']) await register(id);
    const path = await register('c', provider);
    const first = await lead();
    await done(first, { kind: 'set_versions', service: 'shop', versions: { v1: 100 } });
    await first.close();
    await provider.remove(path, -1);
    const second = await lead();
    const share = 'up 333333';
    expect(await peers()).toEqual({ a: share, b: share, c: share });
    expect(second.controller.instance('shop', 'c')).toMatchObject({ registered: false });
    await until(async () => expect((await peers()).c ?? 'gone 0').toBe('gone 0'));
  });
});
