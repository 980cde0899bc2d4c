import { expect, test } from 'vitest';
import { CONTRACTS } from '../../model/contract.js';
import { done, enrolled, Gateway, lead } from '../../testing/controller_plays.js';
import { register, until, useServers } from '../../testing/controller_rig.js';

/*
 * The word of an operator about a breaker, from the door to what is published, and until it expires.
 */

useServers();

test('a forced breaker is published, shown with who and why, and ends by itself', async () => {
  await register('a');
  const gateway = new Gateway('g-1');
  gateway.contracts = CONTRACTS;
  const running = await lead();
  await enrolled(running, 'g-1');
  await until(() => expect(gateway.applied).not.toBeNull());
  const word = () => running.controller.set('shop')?.document;
  expect(word()).not.toHaveProperty('breaker_forced');
  const { changes } = await done(
    running,
    { kind: 'breaker', service: 'shop', state: 'open' },
    { reason: 'the database moves', expires_ms: 2_000 },
  );
  expect(changes).toMatchObject([{ service: 'shop', field: 'breaker', from: 'auto' }]);
  await until(() => expect(word()).toMatchObject({ breaker_forced: 'open' }));
  expect(running.controller.service('shop')?.breaker).toMatchObject({
    forced: { state: 'open', reason: 'the database moves' },
    gateways: [],
  });
  expect(running.controller.problems().map(({ code }) => code)).toContain('breaker_open');
  await until(() => expect(word()).not.toHaveProperty('breaker_forced'));
  expect(running.controller.service('shop')?.breaker.forced).toBeNull();
  await until(() =>
    expect(running.controller.events('shop')?.map(({ event }) => event)).toEqual(
      expect.arrayContaining(['breaker_forced', 'expired']) as string[],
    ),
  );
});
