import { afterAll, beforeAll, expect, test } from 'vitest';
import { request } from 'undici';
import { PATIENTLY, ROUNDS, TwoControllers, type Controller } from './harness/controllers.js';
import { timePasses, until } from './harness/until.js';

/*
 * Two controllers whose leader loses one of its ways, under live traffic and with eight clients: no request fails, each change that
 * was answered is in force exactly once, and whoever can do the whole work leads.
 */

let both: TwoControllers;

beforeAll(async () => {
  both = await TwoControllers.start();
});
afterAll(() => both[Symbol.asyncDispose]());

async function becomesStandby({ api }: Controller): Promise<void> {
  await until('it is a standby, and ready', async () => {
    const { statusCode, body, headers } = await request(`${api}/readyz`, { headersTimeout: 1_000 });
    await body.dump();
    return statusCode === 200 && headers['x-ebbgate-role'] === 'standby';
  });
}

test('cut off from ZooKeeper: another one leads; back, it is a standby', PATIENTLY, async () => {
  await both.whileClientsChange('cut off from ZooKeeper', ROUNDS, async (broken, others) => {
    broken.doors.zookeeper.setMode('cut');
    const took = await both.anotherLeads(others);
    broken.doors.zookeeper.setMode('pass');
    await becomesStandby(broken);
    return took;
  });
});

test('cut off from Redis: it gives its place up to one that can publish', PATIENTLY, async () => {
  await both.whileClientsChange('cut off from Redis', ROUNDS, async (broken, others) => {
    broken.doors.redis.setMode('cut');
    const took = await both.anotherLeads(others);
    broken.doors.redis.setMode('pass');
    await becomesStandby(broken);
    // A process that has given it up does so less and less often: the next round is another one's.
    await broken.stop();
    return took;
  });
});

test(
  'cut off from each other: the leader goes on, the standby says that it reaches none, both answer reads',
  PATIENTLY,
  async () => {
    await both.whileClientsChange('cut off from the standby', ROUNDS, async () => {
      // Now, not when the round began: on a machine that has much to do a session of a second may end by itself.
      const leading = await until('there is a leader', () => both.leader());
      const standby = both.controllers.find((one) => one !== leading);
      for (const { doors } of both.controllers) doors.api.setMode('cut');
      const path = '/v1/services/shop';
      await until('the standby reaches no leader', async () => {
        const { statusCode, body } = await request(`${standby!.api}${path}/freeze?dry_run=true`, {
          method: 'POST',
        });
        const { code } = (await body.json()) as { readonly code: string };
        return statusCode === 503 && code === 'no_leader';
      });
      for (const { api } of both.controllers) {
        const { statusCode, body } = await request(`${api}${path}`);
        await body.dump();
        expect(statusCode).toBe(200);
      }
      await timePasses('clients meet both', 500);
      expect(await both.leader()).toBe(leading);
      for (const { doors } of both.controllers) doors.api.setMode('pass');
      return null;
    });
  },
);
