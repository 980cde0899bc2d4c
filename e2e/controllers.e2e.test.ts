import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ControllerResource } from '../control-plane/src/testkit.js';
import { PATIENTLY, ROUNDS, SESSION_MS, TwoControllers } from './harness/controllers.js';
import { timePasses, until } from './harness/until.js';

/*
 * Two controllers, of which the leader goes in every way, under live traffic and with eight clients that change something all the
 * time: no request fails, and each change that was answered is in force, exactly once.
 */

let both: TwoControllers;

beforeAll(async () => {
  both = await TwoControllers.start();
});
afterAll(() => both[Symbol.asyncDispose]());

async function get<T>(api: string, path: string): Promise<T> {
  const { body } = await request(`${api}${path}`, { headersTimeout: 1_000, bodyTimeout: 1_000 });
  return (await body.json()) as T;
}

test('both are known, at both; a standby shows what is registered and published, and sends changes on', async () => {
  const { platform, controllers } = both;
  const leading = (await both.leader())!;
  const standby = controllers.find((one) => one !== leading)!;
  const at = ({ doors }: typeof leading): string => `http://127.0.0.1:${String(doors.api.port)}`;
  for (const { api } of controllers) {
    const { items } = await get<{ readonly items: readonly ControllerResource[] }>(api, '/v1/controllers');
    expect(items).toMatchObject([
      { id: leading.id, role: 'leader', address: at(leading) },
      { id: standby.id, role: 'standby', address: at(standby) },
    ]);
    expect(await get(api, '/v1/leader')).toMatchObject({ id: leading.id, address: at(leading) });
  }
  const listed = await until('the standby has read the registry', async () => {
    const answer = await request(`${standby.api}/v1/services/shop/instances`);
    const { items } = (await answer.body.json()) as { readonly items?: readonly unknown[] };
    return items && { items, headers: answer.headers };
  });
  expect(listed.headers).toMatchObject({ 'x-ebbgate-role': 'standby' });
  expect(Number(listed.headers['x-ebbgate-view-age'])).toBeLessThan(3);
  expect(listed.items).toHaveLength(8);
  const run = await platform.cli('get', 'controllers', '--api', standby.api);
  expect(run).toMatchObject({ code: 0 });
  expect(run.stdout).toMatch(new RegExp(`${leading.id} +leader +${at(leading)}`));
  const id = both.instances[0]!.id;
  const apis = `http://127.0.0.1:1,${standby.api}`;
  const drained = await platform.cli('drain', '-s', 'shop', id, '--wait', '--api', apis);
  expect(drained).toMatchObject({ code: 0 });
  expect((await platform.published()).peers.find((peer) => peer.id === id)).toMatchObject({
    state: 'draining',
  });
  expect(await platform.cli('undrain', '-s', 'shop', id, '--wait', '--api', apis)).toMatchObject({ code: 0 });
});

test(
  'killed -9, again and again: the next one leads within its session and a second',
  PATIENTLY,
  async () => {
    await both.whileClientsChange('killed -9', ROUNDS, async (broken, others) => {
      await broken.kill();
      const took = await both.anotherLeads(others);
      expect(took).toBeLessThan(SESSION_MS + 4_000);
      return took;
    });
  },
);

test('ended by SIGTERM, again and again: another one leads at once', PATIENTLY, async () => {
  await both.whileClientsChange('asked to end', ROUNDS, async (broken, others) => {
    const stopped = broken.stop();
    const took = await both.anotherLeads(others);
    await stopped;
    return took;
  });
});

test('frozen for three sessions and thawed: it writes nothing, and is a standby', PATIENTLY, async () => {
  await both.whileClientsChange('frozen', ROUNDS, async (broken, others) => {
    await broken.freeze();
    const took = await both.anotherLeads(others);
    await timePasses('longer than its session', 3 * SESSION_MS);
    const epoch = await both.platform.data.hget('{ebb}:meta', 'epoch');
    broken.thaw();
    await until('it is a standby', async () => {
      const { controller } = await get<{ readonly controller: { readonly state: string } }>(
        broken.api,
        '/readyz',
      );
      return controller.state === 'standby';
    });
    expect(await both.platform.data.hget('{ebb}:meta', 'epoch')).toBe(epoch);
    return took;
  });
});
