import { describe, expect, test } from 'vitest';
import { KEYS } from '../../redis/keys.js';
import {
  Gateway,
  done,
  drainOf,
  enrolled,
  lead,
  meta,
  refused,
  resultOf,
} from '../../testing/controller_plays.js';
import { command, register, servers, type Running, until, useServers } from '../../testing/controller_rig.js';

/*
 * Commands of the roster, and what gateways make of it.
 */

useServers();

describe('the roster', () => {
  test('a silent gateway blocks until somebody vouches for it; a live one can neither be forgotten nor leave', async () => {
    for (const id of ['a', 'b']) await register(id);
    const [one, two] = [new Gateway('g-1'), new Gateway('g-2')];
    const running = await lead();
    await enrolled(running, 'g-1', 'g-2');
    expect(await refused(running, { kind: 'forget_gateway', gateway: 'g-2' })).toMatchObject({
      code: 'conflict',
    });
    expect(await refused(running, { kind: 'leave_gateway', gateway: 'g-2' })).toMatchObject({
      code: 'conflict',
    });
    expect(await refused(running, { kind: 'forget_gateway', gateway: 'g-9' })).toMatchObject({
      code: 'not_found',
    });
    two.pause();
    const { operation } = await done(running, drainOf('a'));
    const id = operation?.id ?? '';
    await until(() =>
      expect(running.controller.operation(id)?.waiting_for.join()).toMatch(/^gateway g-2 has been silent/),
    );
    expect(await refused(running, { kind: 'forget_gateway', gateway: 'g-2' }, { reason: '' })).toMatchObject({
      field: 'reason',
    });
    await done(running, { kind: 'forget_gateway', gateway: 'g-2' }, { reason: 'its host burnt' });
    await until(() => expect(resultOf(running, id)).toBe('drained'));
    const gone = [{ id: 'g-2', at: expect.any(String) as string, how: 'forgotten' }];
    expect(running.controller.operation(id)?.gateways).toEqual({ asked: ['g-1'], not_asked: gone });
    one.pause();
    await done(running, { kind: 'leave_gateway', gateway: 'g-1' });
    expect(running.controller.gateways()).toEqual([]);
    await done(running, { kind: 'join_gateway', gateway: 'g-1' });
    expect(running.controller.gateways()).toMatchObject([{ id: 'g-1', state: 'unknown', in_roster: true }]);
    expect(running.controller.instance('shop', 'a')?.drain).toMatchObject({ drained: false });
    await done(running, { kind: 'leave_gateway', gateway: 'g-1' });
    await until(() =>
      expect(running.controller.instance('shop', 'a')?.drain).toMatchObject({ drained: true }),
    );
    two.resume();
    await enrolled(running, 'g-2');
  });

  test('names that nobody ever heard are shown, block nothing, reach no ZooKeeper, and go by one command', async () => {
    for (const id of ['a', 'b']) await register(id);
    const names = Array.from({ length: 3_000 }, (_, n) => ['1700000000', `name-${String(n)}`]);
    await command('ZADD', KEYS.gateways, ...names.flat());
    new Gateway('g-1');
    const running = await lead();
    await enrolled(running, 'g-1');
    const { operation } = await done(running, drainOf('a'));
    await until(() => expect(resultOf(running, operation?.id ?? '')).toBe('drained'));
    const gateways = running.controller.gateways();
    expect(gateways.find((one) => one.id === 'g-1')).toMatchObject({ state: 'live', in_roster: true });
    const shown = gateways.filter((one) => one.id !== 'g-1');
    expect(shown).toHaveLength(100);
    for (const one of shown) expect(one).toMatchObject({ state: 'never_heard', in_roster: false });
    expect(await servers.writer.getChildren(`${servers.root}/gateways`)).toMatchObject({
      ok: true,
      value: { names: ['g-1'] },
    });
    await done(running, { kind: 'forget_gateways', gateways: [], never_heard: true });
    await until(async () => {
      expect(running.controller.gateways().map((one) => one.id)).toEqual(['g-1']);
      expect(running.controller.neverHeard()).toBe(0);
      expect(await command('ZRANGE', KEYS.gateways, '0', '-1')).toEqual(['g-1']);
    });
  });

  test('one that was heard by nobody while it beat blocks a controller that starts later, a flushed Redis included', async () => {
    for (const id of ['a', 'b']) await register(id);
    const gone = new Gateway('g-0');
    await until(async () => expect(await command('EXISTS', KEYS.heartbeat('g-0'))).toBe(1));
    await gone[Symbol.asyncDispose]();
    new Gateway('g-1');
    const running = await lead();
    await enrolled(running, 'g-0', 'g-1');
    const { operation } = await done(running, drainOf('a'));
    const id = operation?.id ?? '';
    const blocked = (at: Running): unknown =>
      until(() =>
        expect(at.controller.operation(id)?.waiting_for).toEqual([
          expect.stringMatching(/^gateway g-0 has (been silent|not been heard)/),
        ]),
      );
    await blocked(running);
    await command('FLUSHALL');
    await until(async () => expect((await meta()).sealed).toBe('1'));
    await blocked(running);
    await running.close();
    const next = await lead();
    await enrolled(next, 'g-0', 'g-1');
    await blocked(next);
    expect(resultOf(next, id)).toBeNull();
    expect(
      await refused(next, { kind: 'forget_gateways', gateways: ['g-0', 'g-1'], never_heard: false }),
    ).toMatchObject({ code: 'conflict', detail: expect.stringContaining('g-1') as string });
    expect(
      await refused(next, { kind: 'forget_gateways', gateways: ['g-0', 'g-7'], never_heard: false }),
    ).toMatchObject({ code: 'not_found', detail: expect.stringContaining('g-7') as string });
    await done(next, { kind: 'forget_gateways', gateways: ['g-0'], never_heard: true });
    await until(() => expect(resultOf(next, id)).toBe('drained'));
  });

  test('a claim to follow an epoch of the far future, or always a higher one, brings few new epochs', async () => {
    await register('a');
    const running = await lead();
    const liar = new Gateway('g-1');
    liar.follows = false;
    const before = await meta();
    liar.applied = { epoch: Number.MAX_SAFE_INTEGER - 2_000_000, generation: 1 };
    await enrolled(running, 'g-1');
    liar.applied = { epoch: before.epoch + 10, generation: 1 };
    await until(async () => expect((await meta()).epoch).toBe(before.epoch + 11));
    let claims = 0;
    await until(async () => {
      const now = await meta();
      liar.applied = { epoch: now.epoch + 1, generation: 1 };
      claims += 1;
      expect(claims).toBeGreaterThan(40);
    });
    expect((await meta()).epoch - before.epoch).toBeLessThan(20);
  });

  test('a gateway that was heard, and fell silent before ZooKeeper could learn of it, blocks all the same', async () => {
    for (const id of ['a', 'b']) await register(id);
    const one = new Gateway('g-1');
    one.open.set('a', 1);
    const running = await lead();
    await enrolled(running, 'g-1');
    const { operation } = await done(running, drainOf('a'));
    running.doors.zookeeper.setMode('cut');
    await until(() => expect(running.controller.readiness().zookeeper.state).not.toBe('ok'));
    const two = new Gateway('g-2');
    await until(() => expect(running.controller.gateways().map((each) => each.id)).toEqual(['g-1', 'g-2']));
    two.pause();
    await until(() =>
      expect(running.controller.gateways()[1]).toMatchObject({ state: 'unknown', in_roster: false }),
    );
    one.open.clear();
    await until(() =>
      expect(running.controller.operation(operation?.id ?? '')?.waiting_for).toMatchObject([
        expect.stringMatching(/g-2/),
      ]),
    );
    expect(resultOf(running, operation?.id ?? '')).toBeNull();
  });
});
