import { expect, test } from 'vitest';
import { parseDocument } from '../redis/documents.js';
import { KEYS } from '../redis/keys.js';
import {
  done,
  drainOf,
  enrolled,
  Gateway,
  lead,
  leads,
  meta,
  refused,
  resultOf,
} from '../testing/controller_plays.js';
import {
  command,
  register,
  servers,
  start,
  until,
  useServers,
  type Running,
} from '../testing/controller_rig.js';

/*
 * In which version sets are written, by what played gateways say that they understand.
 */

useServers();

/** The versions in which the sets of shop and cart, and the routes, are in Redis. */
async function written(): Promise<readonly unknown[]> {
  const names = ['shop', 'cart', '@routes'];
  const payloads = await Promise.all(names.map((name) => command('HGET', KEYS.set(name), 'payload')));
  return payloads.map((payload) => {
    expect(parseDocument(String(payload))).toMatchObject({ ok: true, value: { v: 1 } });
    return (JSON.parse(String(payload)) as { readonly v: unknown }).v;
  });
}

async function newer(id: string): Promise<Gateway> {
  const gateway = new Gateway(id);
  gateway.contracts = [1, 2];
  return Promise.resolve(gateway);
}

async function drained(running: Running): Promise<void> {
  const { operation } = await done(running, drainOf('a'));
  await until(() => expect(resultOf(running, operation?.id ?? '')).toBe('drained'));
}

test('it goes up with the last gateway, down with the first, and acks are of the sets in the new version', async () => {
  for (const id of ['a', 'b']) await register(id);
  await register('c', servers.writer, 'cart');
  const [one, two] = [await newer('g-1'), new Gateway('g-2')];
  const running = await lead();
  await enrolled(running, 'g-1', 'g-2');
  const { controller } = running;
  expect(controller.contract()).toEqual({ version: 1, most: 2, limited_by: ['g-2'], left_behind: [] });
  expect(await written()).toEqual([1, 1, 1]);
  const { epoch, generation } = await meta();

  two.contracts = [1, 2];
  await until(async () => expect(await written()).toEqual([2, 2, 1]));
  expect(controller.contract()).toEqual({ version: 2, most: 2, limited_by: [], left_behind: [] });
  // Each set once, and nothing else, under the same epoch.
  expect(await meta()).toMatchObject({ epoch, generation: generation + 2 });
  await until(() => expect(controller.convergence('shop')).toMatchObject({ converged: true }));
  await drained(running);

  one.contracts = [1];
  await until(async () => expect(await written()).toEqual([1, 1, 1]));
  expect(controller.contract()).toMatchObject({ version: 1, limited_by: ['g-1'] });
  expect(controller.gateways()).toMatchObject([{ contracts: [1] }, { contracts: [1, 2] }]);
});

test('a gateway that nobody hears any more counts by its last word, for the next leader too', async () => {
  await register('a');
  await register('c', servers.writer, 'cart');
  const [one, two] = [await newer('g-1'), await newer('g-2')];
  const first = await lead();
  await enrolled(first, 'g-1', 'g-2');
  await until(async () => expect(await written()).toEqual([2, 2, 1]));
  const entry = async (id: string): Promise<unknown> => {
    const node = await servers.writer.getData(`${servers.root}/gateways/${id}`);
    return node.ok && JSON.parse(node.value.data.toString());
  };
  await until(async () => expect(await entry('g-2')).toMatchObject({ contracts: [1, 2] }));
  two.pause();
  await first.close();
  await command('DEL', KEYS.heartbeat('g-2'));
  await command('ZREM', KEYS.gateways, 'g-2');
  const second = await start();
  await leads(second);
  await until(() =>
    expect(second.controller.gateways()).toMatchObject([
      { id: 'g-1', state: 'live' },
      { id: 'g-2', state: 'unknown', contracts: [1, 2] },
    ]),
  );
  expect(second.controller.contract()).toMatchObject({ version: 2, limited_by: [] });
  expect(await written()).toEqual([2, 2, 1]);

  // It comes back as an older release.
  two.contracts = [1];
  two.boot = 'boot-2';
  two.resume();
  await until(async () => expect(await written()).toEqual([1, 1, 1]));
  await until(async () => expect(await entry('g-2')).toMatchObject({ boot: 'boot-2', contracts: [1] }));
  one.pause();
});

test('one that understands nothing that is written is named, and does not limit the others', async () => {
  await register('a');
  await register('c', servers.writer, 'cart');
  await newer('g-1');
  const future = new Gateway('g-2');
  future.contracts = [7];
  const { controller } = await lead();
  await until(async () => expect(await written()).toEqual([2, 2, 1]));
  await until(() =>
    expect(controller.problems()).toMatchObject([
      { code: 'unknown_contract', field: 'g-2', severity: 'error' },
    ]),
  );
  expect(controller.contract()).toMatchObject({ version: 2, limited_by: [], left_behind: ['g-2'] });
  future.contracts = [1, 2, 7];
  await until(() => expect(controller.problems()).toEqual([]));
});

test('it goes no higher than the configuration allows', async () => {
  await register('a');
  await register('c', servers.writer, 'cart');
  await newer('g-1');
  const first = await lead();
  await until(async () => expect(await written()).toEqual([2, 2, 1]));
  await first.close();
  const second = await start({ contractMost: 1 });
  await leads(second);
  await until(async () => expect(await written()).toEqual([1, 1, 1]));
  expect(second.controller.contract()).toEqual({ version: 1, most: 1, limited_by: [], left_behind: [] });
});

test('limits are taken when every gateway can enforce them, and a gateway of before refuses them from then on', async () => {
  await register('a');
  await register('c', servers.writer, 'cart');
  await newer('g-1');
  const late = new Gateway('g-2');
  const running = await lead();
  await enrolled(running, 'g-1', 'g-2');
  const limits = [{ name: 'all', rate: '5/s' }];
  const limited = { kind: 'patch_spec', service: 'shop', spec: { limits } } as const;
  const problem = await refused(running, limited);
  expect(problem).toMatchObject({ code: 'conflict', field: 'limits' });
  expect(problem.detail).toMatch(/^g-2 cannot enforce the limits of shop, and would refuse what says so/);
  const routes = [{ host: '*', path: '/x', methods: ['GET'] }];
  const ruled = { kind: 'patch_spec', service: 'cart', spec: { routes } } as const;
  expect(await refused(running, ruled)).toMatchObject({ code: 'conflict', field: 'routes' });
  await done(running, { ...ruled, spec: { routes: [{ host: '*', path: '/x', name: 'x' }] } });
  late.contracts = [1, 2];
  await until(async () => expect(await written()).toEqual([2, 2, 1]));
  await done(running, ruled);
  await until(async () => expect(await written()).toEqual([2, 2, 2]));
  await done(running, { ...ruled, spec: { routes: [] } });
  await until(async () => expect(await written()).toEqual([2, 2, 1]));
  await done(running, limited);
  // Without the limits nobody gets the set; the others are for everybody.
  late.contracts = [1];
  await until(async () => expect(await written()).toEqual([2, 1, 1]));
  expect(await command('HGET', KEYS.set('shop'), 'payload')).toContain('"rate":"5/s"');
  await until(() =>
    expect(running.controller.problems()).toMatchObject([
      { code: 'unknown_contract', service: 'shop', field: 'limits' },
    ]),
  );
});
