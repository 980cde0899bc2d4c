import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ReadinessResource } from '../control-plane/src/testkit.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { checkLedger, startClients } from './harness/clients.js';
import { observe } from './harness/observer.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { timePasses, until } from './harness/until.js';

/*
 * Eight clients change one service in parallel while Redis loses its data and its connections again and again. The only controller
 * must go on leading, and every change that was answered must be in force, once.
 */

const CLIENTS = 8;
const LONG = process.env.EBBGATE_LONG !== undefined;
const FLUSHES = { times: LONG ? 10 : 5, everyMs: 2_500 };
const KILLS = { times: LONG ? 20 : 8, everyMs: 1_000 };
/** The controller leads again within this after every event. */
const LEADING_MS = 5_000;

let platform: ControlledPlatform;
let instances: RegisteredInstance[];

beforeAll(async () => {
  platform = await ControlledPlatform.start();
  instances = [];
  for (let count = 0; count < CLIENTS + 2; count += 1)
    instances.push(await platform.startInstance({ wait: false }));
  await until('all instances are in use', async () => {
    const { peers } = await platform.published();
    return peers.length === instances.length;
  });
  await platform.route();
  await platform.converged();
});
afterAll(() => platform[Symbol.asyncDispose]());

test.each([
  { name: 'FLUSHALL', ...FLUSHES, break: () => platform.data.flushall() },
  {
    name: 'CLIENT KILL',
    ...KILLS,
    break: () => platform.data.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
  },
])(
  '$name, $times times: the controller leads on, and every answered change is in force once',
  async (fault) => {
    const observer = await observe(platform.ports.zookeeper, 'shop');
    const traffic = platform.traffic({ rate: 30 });
    const clients = startClients(platform, fault.name.replace(' ', '-'), 'shop', instances.slice(0, CLIENTS));
    for (let count = 0; count < fault.times; count += 1) {
      const began = performance.now();
      await fault.break();
      await until(
        'the controller leads',
        async () => {
          const { body } = await platform.call<ReadinessResource>('GET', '/readyz');
          return body.controller.state === 'leading';
        },
        { timeoutMs: LEADING_MS },
      );
      await timePasses('until the next fault', Math.max(0, fault.everyMs - (performance.now() - began)));
    }
    const ledger = await clients.stop();
    await platform.ready();
    await platform.converged();
    const observed = await observer.stop();
    const failed = await traffic.stop();

    expect(checkLedger(ledger, observed)).toEqual([]);
    expect(ledger.longestGapMs).toBeLessThan(LEADING_MS);
    expect(ledger.answered.length).toBeGreaterThan(CLIENTS * 4);
    expect(failed).toEqual([]);
    // Nothing is left over for the next fault.
    for (const verb of ['restore', 'undrain'])
      for (const { id } of instances)
        await platform.call('POST', `/v1/services/shop/instances/${encodeURIComponent(id)}/${verb}`, {});
  },
  120_000,
);
