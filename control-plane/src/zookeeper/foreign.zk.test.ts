import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RegistrySource } from '../model/ports.js';
import { registrationsIn, type RegistryState, type RegistryView } from '../model/registration.js';
import { startKazoo, zkCli, type KazooRegistrant } from '../testing/foreign_registrants.js';
import { until } from '../testing/until.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import { createFreezeStore } from './freezes.js';
import { createIntentStore } from './intents.js';
import type { ZooKeeperLink } from './link.js';
import { registryRoots } from '../registry/formats.js';
import { createRegistrySource } from './registry.js';
import { createReleaseStore } from './releases.js';
import { createRosterStore } from './roster.js';

/*
 * What strangers register, with client libraries of their own: nodes that may not be read, persistent ones, ones in the
 * wrong place. None of them may matter to anybody else, and each must be seen.
 */

const zk = useZooKeeper();
let kazoo: KazooRegistrant;
let link: ZooKeeperLink;
let states: RegistryState[];
let root: string;

beforeAll(async () => {
  kazoo = await startKazoo(zk.port);
});
afterAll(() => kazoo.close());
beforeEach(async () => {
  root = zk.path('foreign');
  await kazoo.create(root, '');
  states = [];
  // Everything is looked at every second, refused nodes twenty times as often.
  link = zk.link({ sessionTimeoutMs: 10_000, recheckMs: 1_000 });
});

async function follow(roots = [root]): Promise<RegistrySource> {
  const source = createRegistrySource(link, {
    roots: registryRoots(
      roots.map((path) => ({ path, format: 'json' })),
      [],
    ),
  });
  zk.open(source).onState((state) => states.push(state));
  await source.start();
  await link.start();
  return source;
}

function view(): RegistryView {
  const state = states.at(-1);
  if (state?.status !== 'complete') throw new Error(`the last state is ${state?.status ?? 'none'}`);
  return state.view;
}
const ids = (): readonly string[] => registrationsIn(view()).map(({ service, id }) => `${service}/${id}`);
const problems = (): readonly string[] =>
  view().problems.map(({ code, path }) => `${code} ${path.slice(root.length)}`);
const at = (service: string, node: string): string => `${root}/${service}/providers/${node}`;
const data = (id: string, over: object = {}): object => ({ id, host: '10.0.0.1', port: 80, ...over });

async function seen(expected: { readonly ids: readonly string[]; readonly problems: readonly string[] }) {
  await until(() => {
    expect({ ids: ids(), problems: problems() }).toEqual(expected);
  });
}

/** Nothing that one node did may have cost the connection that all depend on. */
function expectOneConnection(): void {
  expect(zk.log.lines.filter(({ message }) => message === 'ZooKeeper connected')).toHaveLength(1);
  expect(states.filter(({ status }) => status !== 'complete')).toEqual([]);
}

describe('a node that the controller may not read', () => {
  test('is one problem of its service; the others come, change and go as ever', async () => {
    await kazoo.create(at('shop', 'a'), data('a'));
    await kazoo.create(at('shop', 'closed'), data('closed'), { acl: 'own' });
    await kazoo.create(at('cart', 'c'), data('c'));
    await follow();
    const bad = 'unreadable_node /shop/providers/closed';
    await seen({ ids: ['cart/c', 'shop/a'], problems: [bad] });
    expect(view().unread).toEqual([{ path: at('shop', 'closed'), service: 'shop', reason: 'no auth' }]);
    await kazoo.create(at('shop', 'b'), data('b'));
    await seen({ ids: ['cart/c', 'shop/a', 'shop/b'], problems: [bad] });
    await kazoo.remove(at('shop', 'a'));
    await seen({ ids: ['cart/c', 'shop/b'], problems: [bad] });
    // The server shows nobody of these three.
    await kazoo.create(at('cart', 'late'), data('late'), { acl: 'write_only' });
    await seen({ ids: ['cart/c', 'shop/b'], problems: ['unreadable_node /cart/providers/late', bad] });
    await kazoo.remove(at('shop', 'closed'));
    await seen({ ids: ['cart/c', 'shop/b'], problems: ['unreadable_node /cart/providers/late'] });
    await kazoo.protect(at('cart', 'late'), 'open');
    await seen({ ids: ['cart/c', 'cart/late', 'shop/b'], problems: [] });
    expectOneConnection();
  });

  test('keeps its last good data until it is known to be gone', async () => {
    await kazoo.create(at('shop', 'a'), data('a', { weight: 7 }));
    await kazoo.create(at('shop', 'b'), data('b'));
    await follow();
    await seen({ ids: ['shop/a', 'shop/b'], problems: [] });
    await kazoo.protect(at('shop', 'a'), 'own');
    await seen({ ids: ['shop/a', 'shop/b'], problems: ['unreadable_node /shop/providers/a'] });
    await kazoo.set(at('shop', 'a'), data('a', { weight: 9 }));
    await kazoo.set(at('shop', 'b'), data('b', { weight: 9 }));
    await until(() => {
      expect(registrationsIn(view()).map(({ weight }) => weight)).toEqual([7, 9]);
    });
    await kazoo.remove(at('shop', 'a'));
    await seen({ ids: ['shop/b'], problems: [] });
    expectOneConnection();
  });

  test('one whole directory: what was known below it stays, goes when it is gone, and comes back when it is opened', async () => {
    for (const id of ['a', 'b']) await kazoo.create(at('shop', id), data(id));
    await kazoo.create(at('cart', 'c'), data('c'));
    await follow();
    await seen({ ids: ['cart/c', 'shop/a', 'shop/b'], problems: [] });
    for (const closed of ['/shop/providers', '/shop']) {
      await kazoo.protect(root + closed, 'own');
      await seen({ ids: ['cart/c', 'shop/a', 'shop/b'], problems: [`unreadable_node ${closed}`] });
      expect(view().unread).toMatchObject([{ service: 'shop' }]);
      await kazoo.remove(at('shop', 'b'));
      await seen({ ids: ['cart/c', 'shop/a'], problems: [`unreadable_node ${closed}`] });
      await kazoo.create(at('shop', 'b'), data('b'));
      await kazoo.protect(root + closed, 'open');
      await seen({ ids: ['cart/c', 'shop/a', 'shop/b'], problems: [] });
    }
    expectOneConnection();
  });

  test('a service that was never readable is known by its name', async () => {
    await kazoo.create(at('closed', 'x'), data('x'));
    await kazoo.protect(`${root}/closed`, 'own');
    await kazoo.create(at('shop', 'a'), data('a'));
    await follow();
    await seen({ ids: ['shop/a'], problems: ['unreadable_node /closed'] });
    expect(view().services).toEqual(['closed', 'shop']);
    expectOneConnection();
  });

  test('a whole root: what lies below others goes on', async () => {
    const other = `${root}-other`;
    await kazoo.create(`${other}/mail/providers/m`, data('m'));
    await kazoo.create(at('shop', 'a'), data('a'));
    await kazoo.protect(root, 'own');
    await follow([root, other]);
    await until(() => {
      expect(ids()).toEqual(['mail/m']);
      expect(view().unread).toEqual([{ path: root, service: null, reason: 'no auth' }]);
    });
    await kazoo.create(`${other}/mail/providers/n`, data('n'));
    await until(() => {
      expect(ids()).toEqual(['mail/m', 'mail/n']);
    });
    await kazoo.protect(root, 'open');
    await until(() => {
      expect(ids()).toEqual(['mail/m', 'mail/n', 'shop/a']);
      expect(view().unread).toEqual([]);
    });
    expectOneConnection();
  });

  test('one among a thousand costs the others nothing', async () => {
    const many = zk.open(await startKazoo(zk.port, 20_000));
    await Promise.all(
      Array.from({ length: 1_000 }, (_, i) =>
        many.create(at('shop', String(i)), data(String(i)), {
          ephemeral: true,
          acl: i === 500 ? 'own' : 'open',
        }),
      ),
    );
    await follow();
    await until(() => {
      expect(registrationsIn(view())).toHaveLength(999);
      expect(problems()).toEqual(['unreadable_node /shop/providers/500']);
    });
    await many.close();
    await until(() => {
      expect(registrationsIn(view())).toHaveLength(0);
      expect(problems()).toEqual([]);
    });
    expectOneConnection();
  });
});

test('nodes of a shape or in a place that is not ours are reported by name, and the rest is served', async () => {
  await kazoo.create(at('shop', 'a'), data('a'), { ephemeral: true });
  await kazoo.create(at('shop', 'zone-1/b'), data('b'));
  await kazoo.create(`${root}/shop/498f74be`, { name: 'shop', address: '10.0.0.7', port: 8080 });
  await kazoo.create(`${root}/shop/config`, 'anything');
  await kazoo.create(at('shop', 'huge'), Buffer.alloc(1_500_000, 0x20));
  await kazoo.create(at('shop', 'bytes'), Buffer.from([0xff, 0x00, 0xfe]));
  await kazoo.create(at('my shop', 'x'), data('x'));
  await follow();
  await seen({
    ids: ['shop/a'],
    problems: [
      'bad_service_name /my shop',
      'misplaced_node /shop',
      'bad_json /shop/providers/bytes',
      'too_large /shop/providers/huge',
      'nested_node /shop/providers/zone-1',
    ],
  });
  expect(view().problems.find(({ code }) => code === 'misplaced_node')?.message).toContain('/shop/498f74be');
  // A first node below an instance's own changes nothing of that node but that it is there.
  await kazoo.create(at('shop', 'p'), data('p'));
  await until(() => {
    expect(registrationsIn(view())).toMatchObject([
      { id: 'a', persistent: false },
      { id: 'p', persistent: true },
    ]);
  });
  await kazoo.create(at('shop', 'p/q'), data('q'));
  await until(() => {
    expect(problems()).toContain('nested_node /shop/providers/p');
  });
  await kazoo.remove(at('shop', 'p/q'));
  await until(() => {
    expect(problems()).not.toContain('nested_node /shop/providers/p');
  });
  expectOneConnection();
});

test('the command line of ZooKeeper registers, protects and deletes like anybody', async () => {
  await kazoo.create(at('shop', 'a'), data('a'));
  await follow();
  await seen({ ids: ['shop/a'], problems: [] });
  const json = JSON.stringify(data('cli')).replaceAll(' ', '');
  await zkCli(zk.port, [
    `create ${at('shop', 'cli')} ${json}`,
    'addauth digest ann:secret',
    `create ${at('shop', 'closed')} ${json}`,
    `setAcl ${at('shop', 'closed')} auth:ann:secret:cdrwa`,
  ]);
  await seen({ ids: ['shop/a', 'shop/cli'], problems: ['unreadable_node /shop/providers/closed'] });
  await zkCli(zk.port, [`delete ${at('shop', 'closed')}`, `delete ${at('shop', 'cli')}`]);
  await seen({ ids: ['shop/a'], problems: [] });
});

describe('a store of the truth', () => {
  const RECORD = { v: 1, rev: 1, spec: {}, instances: {}, versions: {}, ops: [], events: [] };

  test('a record that may not be read is damaged, keeps what was known of it, and stops no other', async () => {
    await kazoo.create(`${root}/intents/shop`, RECORD);
    await kazoo.create(`${root}/intents/cart`, RECORD);
    await kazoo.create(`${root}/gateways/gw-1`, { boot: 'b', host: 'h', since: '2026-01-02T03:04:05.000Z' });
    for (const closed of [
      'gateways/gw-2',
      'releases/shop/history/3',
      'releases/cart/current',
      'global/freeze',
    ]) {
      await kazoo.create(`${root}/${closed}`, '{}');
      await kazoo.protect(`${root}/${closed}`, 'own');
    }
    const intents = createIntentStore(link, { root });
    const roster = createRosterStore(link, { root });
    const releases = createReleaseStore(link, { root });
    const freezes = createFreezeStore(link, { root });
    let shown: readonly string[] = [];
    let gateways: readonly string[] = [];
    intents.onChange((newest) => (shown = [...newest.keys()].sort()));
    roster.onChange((newest) => (gateways = [...newest.keys()].sort()));
    for (const store of [intents, roster, releases, freezes]) await zk.open(store).start();
    await link.start();
    const why = 'the controller may not read it: no auth';
    await until(() => {
      expect(shown).toEqual(['cart', 'shop']);
      // It still counts for every drain.
      expect(gateways).toEqual(['gw-1', 'gw-2']);
      expect(roster.damaged().get('gw-2')).toBe(why);
      expect([...releases.damaged()]).toEqual([['cart', why]]);
      expect(freezes.damaged().get('freeze')).toBe(why);
    });
    await kazoo.protect(`${root}/intents/shop`, 'own');
    await until(() => {
      expect(intents.damaged().get('shop')).toBe(why);
    });
    expect(shown).toEqual(['cart', 'shop']);
    await kazoo.protect(`${root}/intents/shop`, 'open');
    await until(() => {
      expect(intents.damaged().size).toBe(0);
    });
    await kazoo.protect(`${root}/intents`, 'own');
    await until(() => {
      expect(intents.problem()).toEqual({ path: `${root}/intents`, reason: 'no auth' });
    });
    await kazoo.create(`${root}/intents/mail`, RECORD);
    await kazoo.protect(`${root}/intents`, 'open');
    await until(() => {
      expect(intents.problem()).toBeNull();
      expect(shown).toEqual(['cart', 'mail', 'shop']);
    });
    expectOneConnection();
  });
});
