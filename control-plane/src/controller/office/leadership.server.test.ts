import { describe, expect, test } from 'vitest';
import {
  done,
  drainOf,
  lead,
  leads,
  meta,
  only,
  peers,
  projection,
  refused,
  wrap,
} from '../../testing/controller_plays.js';
import { MemoryElections } from '../../testing/memory/elections.js';
import {
  command,
  passes,
  type Running,
  register,
  servers,
  start,
  until,
  useServers,
} from '../../testing/controller_rig.js';

/*
 * Who leads, of several controllers and over what ZooKeeper has forgotten.
 */

useServers();

/** Its session ends, and it does not hear of that: another is elected. */
function isPassedOver({ election }: Running): void {
  election.away = true;
  election.expire();
}

describe('two controllers', () => {
  test('the second waits, and leads once the first has ended; the first one that comes back waits', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    const second = await start();
    await until(() => expect(second.controller.readiness().controller.state).toBe('standby'));
    await passes(second, 5);
    expect(first.controller.readiness()).toMatchObject({ ready: true });
    expect(second.controller.instance('shop', 'a')).toMatchObject({ registered: true });
    expect(await refused(second, { kind: 'isolate', selector: only('a') })).toMatchObject({
      code: 'not_leader',
    });
    const epoch = first.controller.readiness().controller.epoch ?? 0;
    await first.close();
    await leads(second);
    expect(second.controller.readiness().controller.epoch).toBeGreaterThan(epoch);
    const third = await start();
    await until(() => expect(third.controller.readiness().controller.state).toBe('standby'));
    await done(second, { kind: 'isolate', selector: only('a') });
  });

  test('leadership goes to and fro, and each time what was decided is kept', async () => {
    for (const id of ['a', 'b']) await register(id);
    const [one, other] = [await lead(), await start()];
    for (let round = 1; round <= 4; round += 1) {
      const [leader, next] = round % 2 === 1 ? [one, other] : [other, one];
      await leads(leader);
      await done(leader, { kind: 'set_weights', service: 'shop', weights: { b: round } });
      leader.election.resign();
      await leads(next);
      await until(() => expect(leader.controller.readiness().controller.state).toBe('standby'));
      await until(async () => expect(await peers()).toEqual({ a: 'up 100', b: `up ${String(round)}` }));
    }
  });

  test('without an answer of the election the leader takes no change, and goes on when it is elected again', async () => {
    await register('a');
    const first = await lead();
    const { epoch } = first.controller.readiness().controller;
    isPassedOver(first);
    expect(await refused(first, { kind: 'isolate', selector: only('a') })).toMatchObject({
      code: 'store_unavailable',
    });
    expect(first.controller.readiness()).toMatchObject({
      ready: false,
      zookeeper: { state: 'degraded', detail: 'it does not say which controller leads' },
    });
    await register('b');
    await until(() => expect(first.controller.instance('shop', 'b')).toMatchObject({ registered: true }));
    await passes(first, 5);
    expect(Object.keys(await peers())).toEqual(['a']);
    first.election.away = false;
    await until(async () => expect(Object.keys(await peers())).toEqual(['a', 'b']));
    // Nobody else led meanwhile: the epoch is the same.
    expect(first.controller.readiness().controller).toMatchObject({ state: 'leading', epoch });
  });

  test('the first is fenced by itself: it says so, takes no change, and changes not one byte', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    const second = await start();
    const epoch = first.controller.readiness().controller.epoch ?? 0;
    isPassedOver(first);
    await until(async () => expect((await meta()).epoch).toBeGreaterThan(epoch));
    await leads(second);
    await until(() =>
      expect(first.controller.readiness()).toMatchObject({ ready: true, controller: { state: 'standby' } }),
    );
    await until(async () => expect(await meta()).toMatchObject({ sealed: '1' }));
    const before = await projection();
    expect(await refused(first, { kind: 'isolate', selector: only('a') })).toMatchObject({
      code: 'not_leader',
    });
    // Whatever shakes its view of Redis, it does not lead again.
    first.doors.redis.setMode('cut');
    first.doors.redis.setMode('pass');
    await until(() => expect(first.controller.readiness().redis.state).toBe('ok'));
    first.election.away = false;
    await passes(first, 3);
    expect(first.controller.readiness().controller.state).toBe('standby');
    expect(await projection()).toBe(before);
    await done(second, { kind: 'isolate', selector: only('a') });
    expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 100' });
  });

  test('one that was cut off while another took leadership does not take it back', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    first.doors.redis.setMode('cut');
    first.doors.zookeeper.setMode('cut');
    isPassedOver(first);
    const second = await lead();
    await done(second, drainOf('a'));
    const before = await projection();
    first.doors.redis.setMode('pass');
    first.doors.zookeeper.setMode('pass');
    await until(() => expect(first.controller.readiness().controller.state).toBe('standby'));
    first.election.away = false;
    await until(() => expect(first.controller.readiness().redis.state).toBe('ok'));
    expect(await projection()).toBe(before);
    expect(second.controller.readiness()).toMatchObject({ ready: true });
  });

  test('a leader that is cut off from Redis alone lets the other one lead, which publishes what was decided', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    const second = await start();
    await until(() => expect(second.controller.readiness().controller.state).toBe('standby'));
    first.doors.redis.setMode('cut');
    expect(await done(first, drainOf('a'))).toMatchObject({ published: false });
    await leads(second);
    await until(() => expect(first.controller.readiness().controller.state).toBe('standby'));
    await until(async () => expect(await peers()).toEqual({ a: 'draining 0', b: 'up 100' }));
    const epoch = second.controller.readiness().controller.epoch ?? 0;
    first.doors.redis.setMode('pass');
    await until(() => expect(first.controller.readiness()).toMatchObject({ ready: true }));
    // It stays so: nobody is preferred.
    expect(second.controller.readiness().controller).toMatchObject({ state: 'leading', epoch });
  });

  test('who takes over publishes nothing before it knows the last changes', async () => {
    for (const id of ['a', 'b']) await register(id);
    const first = await lead();
    await done(first, { kind: 'set_weights', service: 'shop', weights: { b: 7 } });
    // The first's last change comes after the second has read all, and just before it takes leadership; the update is late.
    let newest: (() => void) | undefined;
    let noteRead: ((first: unknown) => void) | undefined;
    const read = new Promise((resolve) => (noteRead = resolve));
    let changed: Promise<unknown> | undefined;
    const second = await start({
      // Two are elected: the first has not heard yet that it is no more.
      election: new MemoryElections().election({
        ...{ id: 'second', address: null, version: '0.1.0', started_at: '' },
      }),
      intents: (real) =>
        wrap(real, {
          onChange: (listener) => {
            real.onChange((intents) => {
              newest = () => listener(intents);
              if (changed === undefined) newest();
              noteRead?.(intents);
            });
          },
        }),
      office: (real) => ({
        present: () => real.present(),
        isPresent: (term) => real.isPresent(term),
        take: async (floor) => {
          await read;
          await (changed ??= done(first, { kind: 'isolate', selector: only('a') }));
          isPassedOver(first);
          return real.take(floor);
        },
      }),
    });
    await until(async () => expect(await meta()).toMatchObject({ sealed: '0' }));
    await passes(second, 10);
    expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 7' });
    expect(await meta()).toMatchObject({ sealed: '0' });
    newest?.();
    await until(async () => expect(await meta()).toMatchObject({ sealed: '1' }));
    expect(second.controller.readiness().ready).toBe(true);
    expect(await peers()).toEqual({ a: 'isolated 0', b: 'up 7' });
  });
});

test('a ZooKeeper that has forgotten everything, found by a controller that starts: nothing is published over what is there', async () => {
  await register('a');
  const first = await lead();
  await done(first, { kind: 'patch_spec', service: 'shop', spec: { routes: [{ host: '*', path: '/' }] } });
  await first.close();
  const before = await projection();
  servers.anotherInstallation();
  const second = await start();
  await until(() =>
    expect(second.controller.readiness().zookeeper).toMatchObject({
      state: 'degraded',
      detail: expect.stringMatching(/accept-data-loss/) as string,
    }),
  );
  expect(await refused(second, { kind: 'patch_spec', service: 'shop', spec: {} })).toMatchObject({
    code: 'not_ready',
  });
  expect(await projection()).toBe(before);
  await second.close();
  const third = await start();
  await until(() => expect(third.controller.readiness().zookeeper.detail).toMatch(/accept-data-loss/));
  expect(await projection()).toBe(before);
  await command('FLUSHALL');
  await leads(third);
});
