import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { reservePort } from '../local/port_reservation.js';
import { launchZooKeeper } from '../local/zookeeper.js';
import type { RegistrySource } from '../model/ports.js';
import { registrationsIn, type RegistryState, type RegistryView } from '../model/registration.js';
import { err } from '../model/result.js';
import { must } from '../testing/must.js';
import { registrySourceContract } from '../testing/registry_source.contract.js';
import { removeBelow } from '../testing/remove_below.js';
import { startTcpProxy, type TcpProxy } from '../testing/tcp_proxy.js';
import { until } from '../testing/until.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import type { ZooKeeperConnection } from './connection.js';
import { createPath } from './create_path.js';
import type { ZooKeeperLink } from './link.js';
import { registryRoots } from '../registry/formats.js';
import { createRegistrySource, type RegistrySourceOptions } from './registry.js';

const zk = useZooKeeper();
let link: ZooKeeperLink;
let writer: ZooKeeperConnection;
let states: RegistryState[];
let root: string;

beforeEach(async () => {
  root = zk.path('services');
  states = [];
  writer = await zk.connection();
  link = newLink();
});

const newLink = (sessionTimeoutMs = 10_000, to = zk.port): ZooKeeperLink =>
  zk.link({ to, sessionTimeoutMs, connectTimeoutMs: 1_000 });

/** Roots in the format of this project, on the default networks. */
const json = (...paths: readonly string[]): RegistrySourceOptions['roots'] =>
  registryRoots(
    paths.map((path) => ({ path, format: 'json' })),
    [],
  );

async function follow(options: Partial<RegistrySourceOptions> = {}): Promise<RegistrySource> {
  const source = zk.open(createRegistrySource(link, { roots: json(root), ...options }));
  source.onState((state) => states.push(state));
  await source.start();
  await link.start();
  return source;
}

const last = (): RegistryState | undefined => states.at(-1);
function view(): RegistryView {
  const state = last();
  if (state?.status !== 'complete') throw new Error(`the last state is ${state?.status ?? 'none'}`);
  return state.view;
}
const ids = (): readonly string[] => registrationsIn(view()).map(({ service, id }) => `${service}/${id}`);

const provider = (id: string, over: object = {}): Buffer =>
  Buffer.from(JSON.stringify({ id, host: '10.0.0.1', port: 80, ...over }));

async function register(service: string, node: string, data: Buffer = provider(node)): Promise<void> {
  await must(createPath(writer, `${root}/${service}/providers`));
  await must(writer.create(`${root}/${service}/providers/${node}`, data, { ephemeral: true }));
}

registrySourceContract('ZooKeeper', async () => {
  const proxy = zk.open(await startTcpProxy(zk.port));
  link = newLink(10_000, proxy.port);
  await link.start();
  const at = (service: string, node: string): string => `${root}/${service}/providers/${node}`;
  return {
    source: () => createRegistrySource(link, { roots: json(root) }),
    connect: (mode) => {
      proxy.setMode(mode === 'away' ? 'cut' : 'pass');
    },
    create: (service) => must(createPath(writer, `${root}/${service}`)),
    register: async (service, node, data) => {
      const bytes = data === null ? Buffer.from('garbage') : Buffer.from(JSON.stringify(data));
      const written = await writer.setData(at(service, node), bytes, -1);
      if (!written.ok) await register(service, node, bytes);
    },
    deregister: (service, node) => must(writer.remove(at(service, node), -1)),
    wipe: () => removeBelow(writer, root),
    close: () => Promise.resolve(),
  };
});

test('a registration has its path and the life of its node; what else is below a service is none', async () => {
  await register('shop', 'a');
  await must(createPath(writer, `${root}/empty`));
  await must(createPath(writer, `${root}/shop/consumers/somebody`));
  await follow();
  await until(() => {
    expect(ids()).toEqual(['shop/a']);
  });
  expect(registrationsIn(view())[0]?.path).toBe(`${root}/shop/providers/a`);
  expect(registrationsIn(view())[0]?.incarnation).toMatch(/^[0-9a-f]{16}$/);
  expect(view()).toMatchObject({ services: ['empty', 'shop'], problems: [] });
  await must(writer.remove(`${root}/empty`, -1));
  await until(() => {
    expect(view().services).toEqual(['shop']);
  });
});

test('a node that goes and comes again under the same name is read again', async () => {
  await register('shop', 'a', provider('a', { version: 'v1' }));
  await follow();
  await until(() => {
    expect(ids()).toEqual(['shop/a']);
  });
  const path = `${root}/shop/providers/a`;
  const data = provider('a', { version: 'v2' });
  await must(
    writer.transaction([
      { kind: 'remove', path, version: 0 },
      { kind: 'create', path, data },
    ]),
  );
  await until(() => {
    expect(registrationsIn(view())).toMatchObject([{ version: 'v2' }]);
  });
  // A whole service, while the source does not look.
  await must(writer.remove(path, -1));
  await must(writer.remove(`${root}/shop/providers`, -1));
  await must(writer.remove(`${root}/shop`, -1));
  await register('shop', 'b');
  await until(() => {
    expect(ids()).toEqual(['shop/b']);
  });
});

test('bad nodes become problems and stop nobody', async () => {
  await register('shop', 'good');
  await register('shop', 'garbage', Buffer.from('\u0000\u0001garbage'));
  await register('shop', 'empty', Buffer.alloc(0));
  await register('shop', 'loopback', provider('l', { host: '127.0.0.1' }));
  await register('shop', 'heavy', provider('h', { weight: 1e9 }));
  await register('shop', 'large', provider('x', { pad: 'x'.repeat(70_000) }));
  await register('shop', 'twin-1', provider('twin', { host: '10.0.0.8' }));
  await register('shop', 'twin-2', provider('twin', { host: '10.0.0.9' }));
  await register('Bad_Name', 'a');
  await follow();
  await until(() => {
    expect(ids()).toEqual(['shop/good', 'shop/twin']);
  });
  expect(registrationsIn(view())[1]?.host).toBe('10.0.0.9');
  expect(view().services).toEqual(['shop']);
  expect(view().problems.map(({ path, code }) => [path.slice(root.length), code])).toEqual([
    ['/Bad_Name', 'bad_service_name'],
    ['/shop/providers/empty', 'bad_json'],
    ['/shop/providers/garbage', 'bad_json'],
    ['/shop/providers/heavy', 'bad_field'],
    ['/shop/providers/large', 'too_large'],
    ['/shop/providers/loopback', 'forbidden_host'],
    ['/shop/providers/twin-1', 'duplicate_id'],
  ]);
  await must(writer.setData(`${root}/shop/providers/loopback`, provider('l'), -1));
  await until(() => {
    expect(ids()).toContain('shop/l');
  });
});

test('configured networks allow exactly themselves', async () => {
  await register('shop', 'a', provider('a', { host: '127.0.0.1' }));
  await register('shop', 'b', provider('b', { host: '10.0.0.1' }));
  await follow({ roots: registryRoots([{ path: root, format: 'json' }], ['127.0.0.0/8']) });
  await until(() => {
    expect(ids()).toEqual(['shop/a']);
  });
  expect(() => createRegistrySource(link, { roots: [] })).toThrow(/root/);
});

test('several roots make one view, and a view only together', async () => {
  const other = `${root}-other`;
  await register('shop', 'a');
  await must(createPath(writer, `${other}/cart/providers`));
  await must(writer.create(`${other}/cart/providers/x`, provider('x')));
  const both = json(root, other);
  await follow({ roots: both });
  await until(() => {
    expect(ids()).toEqual(['cart/x', 'shop/a']);
  });
  expect(states).toHaveLength(1);
  expect(last()).toMatchObject({ gap: true });
  await register('shop', 'b');
  await until(() => {
    expect(ids()).toEqual(['cart/x', 'shop/a', 'shop/b']);
  });
  // A gap that was reported is over for each root.
  await until(async () => {
    await register('shop', `more-${states.length}`).catch(() => undefined);
    expect(last()).toMatchObject({ gap: false });
  });
});

test('a burst of 2,000 registrations arrives whole, in few views', async () => {
  await follow();
  await until(() => {
    expect(registrationsIn(view())).toEqual([]);
  });
  await must(createPath(writer, `${root}/shop/providers`));
  const began = performance.now();
  await Promise.all(
    Array.from({ length: 2_000 }, (_, i) =>
      must(writer.create(`${root}/shop/providers/n${i}`, provider(`n${i}`), { ephemeral: true })),
    ),
  );
  await until(() => {
    expect(registrationsIn(view())).toHaveLength(2_000);
  });
  // One view per window of 50 → 800 ms, however long this machine takes.
  expect(states.length).toBeLessThan(8 + (performance.now() - began) / 100);
  for (const state of states) expect(state.status).toBe('complete');
});

test('ten thousand nodes are read in one go', async () => {
  const bulk = await zk.connection();
  await must(createPath(bulk, root));
  for (let service = 0; service < 100; service++) {
    const folder = `${root}/s${service}/providers`;
    await must(createPath(bulk, folder));
    await must(
      bulk.transaction(
        Array.from({ length: 100 }, (_, i) => ({
          kind: 'create',
          path: `${folder}/n${i}`,
          data: provider(`n${i}`),
        })),
      ),
    );
  }
  await bulk.close();
  const began = performance.now();
  await follow();
  await until(() => {
    expect(registrationsIn(view())).toHaveLength(10_000);
  });
  expect(performance.now() - began).toBeLessThan(15_000); // 1 to 2 s when nothing else runs
  expect(states).toHaveLength(1);
}, 120_000);

test('a server without recursive watches is followed by child and data watches', async () => {
  link.attach({
    name: 'an old server',
    sync: (connection) => {
      connection.addTreeWatch = () => Promise.resolve(err({ kind: 'unimplemented', message: '', zxid: '' }));
      return Promise.resolve({ ok: true, value: null });
    },
    lost: () => undefined,
  });
  await register('shop', 'a');
  await follow();
  await until(() => {
    expect(ids()).toEqual(['shop/a']);
  });
  await register('shop', 'b');
  await until(() => {
    expect(ids()).toEqual(['shop/a', 'shop/b']);
  });
  for (const weight of [1, 2, 3]) {
    await must(writer.setData(`${root}/shop/providers/b`, provider('b', { weight }), -1));
    await until(() => {
      expect(registrationsIn(view())[1]?.weight).toBe(weight);
    });
  }
  await register('cart', 'x');
  await until(() => {
    expect(ids()).toEqual(['cart/x', 'shop/a', 'shop/b']);
  });
  for (const path of ['/shop/providers/a', '/shop/providers/b', '/shop/providers', '/shop'])
    await must(writer.remove(root + path, -1));
  await until(() => {
    expect(view().services).toEqual(['cart']);
    expect(ids()).toEqual(['cart/x']);
  });
  await register('shop', 'c');
  await until(() => {
    expect(ids()).toEqual(['cart/x', 'shop/c']);
  });
  for (const path of [
    '/shop/providers/c',
    '/shop/providers',
    '/shop',
    '/cart/providers/x',
    '/cart/providers',
    '/cart',
    '',
  ])
    await must(writer.remove(root + path, -1));
  await until(() => {
    expect(last()).toMatchObject({ status: 'data_loss' });
  });
});

describe('failures', () => {
  beforeEach(() => {
    link = newLink(2_000);
  });

  test('a frozen server makes the registry unknown; thawed, a complete view follows, with a gap', async () => {
    await register('shop', 'a');
    await follow();
    await until(() => {
      expect(ids()).toEqual(['shop/a']);
    });
    expect(link.state().state).toBe('connected');
    await zk.freeze();
    await until(() => {
      expect(last()?.status).toBe('unknown');
    });
    expect(link.state().state).toBe('degraded');
    zk.server.kill('SIGCONT');
    await until(() => {
      expect(last()?.status).toBe('complete');
    });
    expect(last()).toMatchObject({ gap: true });
    expect(link.state().state).toBe('connected');
    // Nothing partial in between.
    expect(states.map(({ status }) => status)).toEqual(['complete', 'unknown', 'complete']);
  });

  test('a freeze that the connection survives is a gap too', async () => {
    link = newLink(30_000);
    await register('shop', 'a');
    await follow();
    await until(() => {
      expect(ids()).toEqual(['shop/a']);
    });
    await zk.freeze();
    const frozen = performance.now();
    await until(() => {
      expect(performance.now() - frozen).toBeGreaterThan(2_500);
    });
    zk.server.kill('SIGCONT');
    await until(() => {
      expect(states.length).toBeGreaterThan(1);
    });
    for (const state of states) expect(state).toMatchObject({ status: 'complete', gap: true });
    expect(ids()).toEqual(['shop/a']);
  });

  test('killed and started again: unknown, then what is there', async () => {
    await must(createPath(writer, `${root}/shop/providers`));
    await must(writer.create(`${root}/shop/providers/kept`, provider('kept')));
    await follow();
    await until(() => {
      expect(ids()).toEqual(['shop/kept']);
    });
    zk.server.kill('SIGKILL');
    await zk.server.exited;
    await until(() => {
      expect(last()?.status).toBe('unknown');
    });
    await zk.launch();
    await until(() => {
      expect(last()).toMatchObject({ status: 'complete', gap: true });
    });
    expect(ids()).toEqual(['shop/kept']);
    expect(zk.log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  test('a root that is replaced between two connections is data loss', async () => {
    await follow();
    await until(() => {
      expect(last()?.status).toBe('complete');
    });
    await zk.freeze();
    await until(() => {
      expect(last()?.status).toBe('unknown');
    });
    // As the first thing that the thawed server does: one transaction, so nobody ever sees the root missing.
    const replace = writer.transaction([
      { kind: 'remove', path: root, version: -1 },
      { kind: 'create', path: root, data: Buffer.alloc(0) },
    ]);
    zk.server.kill('SIGCONT');
    await must(replace);
    await until(() => {
      expect(last()).toMatchObject({ status: 'data_loss' });
    });
  });

  test('a missing root is created at the first contact only if that is asked for', async () => {
    await follow({ createRoots: false });
    await until(() => {
      expect(last()).toMatchObject({ status: 'data_loss', reason: `${root} does not exist` });
    });
    expect(await writer.exists(root)).toEqual({ ok: true, value: null });
  });

  /** A server of its own behind a door, for tests that take its data away. */
  async function behindDoor(): Promise<{
    data: string;
    restart: (between: () => void) => Promise<void>;
    proxy: TcpProxy;
  }> {
    const apart = join(zk.dir, 'apart', root);
    const own = await reservePort();
    let its = await launchZooKeeper({ dir: apart, port: own });
    const proxy = await startTcpProxy(own);
    zk.open({ close: () => its.stop() });
    zk.open(proxy);
    writer = await zk.connection(own);
    link = newLink(2_000, proxy.port);
    const restart = async (between: () => void): Promise<void> => {
      proxy.setMode('cut');
      await until(() => {
        expect(last()?.status).toBe('unknown');
      });
      await its.stop();
      between();
      its = await launchZooKeeper({ dir: apart, port: own });
      await writer.close();
      writer = await zk.connection(own);
    };
    return { data: join(apart, 'data'), restart, proxy };
  }

  test('a wiped server is data loss, even though its numbers begin again', async () => {
    const { data, restart, proxy } = await behindDoor();
    await must(createPath(writer, root));
    const before = await must(writer.exists(root));
    const source = await follow();
    await until(() => {
      expect(last()?.status).toBe('complete');
    });
    await restart(() => {
      rmSync(data, { recursive: true });
    });
    await must(createPath(writer, root));
    // The same transaction made it in both lives.
    expect((await must(writer.exists(root)))?.czxid).toBe(before?.czxid);
    await register('shop', 'new');
    proxy.setMode('pass');
    await until(() => {
      expect(last()?.status).toBe('data_loss');
    });
    source.acceptDataLoss();
    await until(() => {
      expect(ids()).toEqual(['shop/new']);
    });
  });

  test('a server that was put back to an older state is data loss', async () => {
    const { data, restart, proxy } = await behindDoor();
    await must(createPath(writer, `${root}/shop/providers`));
    await follow();
    await until(() => {
      expect(view().services).toEqual(['shop']);
    });
    await restart(() => {
      cpSync(data, `${data}-backup`, { recursive: true });
    });
    proxy.setMode('pass');
    for (let i = 0; i < 50; i++) await must(writer.create(`${root}/shop/providers/n${i}`, provider(`n${i}`)));
    await until(() => {
      expect(registrationsIn(view())).toHaveLength(50);
    });
    await restart(() => {
      rmSync(data, { recursive: true });
      cpSync(`${data}-backup`, data, { recursive: true });
    });
    proxy.setMode('pass');
    await until(() => {
      expect(last()).toMatchObject({
        status: 'data_loss',
        reason: expect.stringContaining('went back') as string,
      });
    });
  });

  test.each([
    [
      'a node was rewritten',
      async () => must(writer.setData(`${root}/shop/providers/a`, provider('a', { weight: 7 }), -1)),
    ],
    ['a service came', async () => must(createPath(writer, `${root}/cart/providers`))],
  ])(
    'put back to before %s, and past its newest transaction again, is data loss too',
    async (_what, change) => {
      const { data, restart, proxy } = await behindDoor();
      await must(createPath(writer, `${root}/shop/providers`));
      await must(writer.create(`${root}/shop/providers/a`, provider('a')));
      await follow();
      await until(() => {
        expect(registrationsIn(view())).toHaveLength(1);
      });
      rmSync(`${data}-backup`, { recursive: true, force: true });
      await restart(() => {
        cpSync(data, `${data}-backup`, { recursive: true });
      });
      proxy.setMode('pass');
      await until(() => {
        expect(last()).toMatchObject({ status: 'complete' });
      });
      const before = JSON.stringify([view().services, registrationsIn(view())]);
      await change();
      const seen = writer.zxid;
      // Not only heard of: what was never read cannot be missed.
      await until(() => {
        expect(JSON.stringify([view().services, registrationsIn(view())])).not.toBe(before);
        expect(link.connection?.zxid ?? '').toBe(seen);
      });
      await restart(() => {
        rmSync(data, { recursive: true });
        cpSync(`${data}-backup`, data, { recursive: true });
      });
      await must(createPath(writer, '/elsewhere'));
      for (let i = 0; writer.zxid <= seen; i++)
        await must(writer.create(`/elsewhere/n${i}-${seen}`, provider('n')));
      proxy.setMode('pass');
      await until(() => {
        expect(last()).toMatchObject({
          status: 'data_loss',
          reason: expect.stringMatching(/went back: .* is older than it was/) as string,
        });
      });
    },
  );

  test('close ends everything, before the first contact as well', async () => {
    const nobody = zk.link({ to: await reservePort(), sessionTimeoutMs: 2_000 });
    link = nobody;
    const source = await follow();
    await until(() => {
      expect(last()?.status).toBe('unknown');
    });
    expect(nobody.state()).toMatchObject({
      state: 'connecting',
      detail: expect.stringContaining('ECONNREFUSED') as string,
    });
    await source.close();
    await source.close();
    await nobody.close();
    await nobody.close();
    expect(states).toHaveLength(1);
  });
});
