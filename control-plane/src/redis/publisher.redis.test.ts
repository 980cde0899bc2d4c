import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';
import type { LinkState, PublishAnswer } from '../model/ports.js';
import type { PublishedDocument } from '../model/set.js';
import { localRedis } from '../testing/redis_address.js';
import { buildEncoded, buildPeer, buildRoutes, buildSet, buildTombstone } from '../testing/builders.js';
import { createRecordingLog } from '../testing/log.js';
import { publisherContract } from '../testing/publisher.contract.js';
import { startTcpProxy } from '../testing/tcp_proxy.js';
import { RedisLink } from './client.js';
import { CHANNELS, KEYS } from './keys.js';
import { createPublisher, type RedisPublisher } from './publisher.js';
import { loadScripts, type PublishingScripts } from './scripts.js';

const SCRIPTS = fileURLToPath(new URL('../../../lua/redis', import.meta.url));
const AT = '2026-11-21T00:00:00Z';
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-publisher-'));
const log = createRecordingLog();
let redis: LocalProcess;
let publisher: RedisPublisher;
/** A person with redis-cli. */
let cli: RedisLink;
let hints: RedisLink;
let heard: string[] = [];

let url: string;
let scripts: PublishingScripts;

beforeAll(async () => {
  const port = await reservePort();
  url = `redis://127.0.0.1:${port}`;
  scripts = await loadScripts(SCRIPTS);
  redis = await launchRedis({ dir, port });
  const address = localRedis(port);
  cli = new RedisLink({ address, name: 'cli', log, clock, commandTimeoutMs: 10_000 });
  hints = new RedisLink({ address, name: 'hints', log, clock, channel: CHANNELS.changed });
  hints.onMessage((text) => heard.push(text));
  await Promise.all([cli.start(), hints.start()]);
  await connected(cli, hints);
});

afterAll(async () => {
  await Promise.all([cli.close(), hints.close()]);
  await redis.stop();
  rmSync(dir, { recursive: true });
});

beforeEach(async () => {
  await command('FLUSHALL');
  publisher = createPublisher({ url, log, clock, scripts, commandTimeoutMs: 10_000 });
  await publisher.start();
  await connected(publisher);
  heard = [];
});

afterEach(() => publisher.close());

async function connected(...links: readonly { state(): LinkState }[]): Promise<void> {
  await vi.waitFor(
    () => {
      for (const link of links) expect(link.state().state).toBe('connected');
    },
    { timeout: 20_000, interval: 5 },
  );
}

async function command(...words: readonly string[]): Promise<unknown> {
  const [name = '', ...rest] = words;
  const answer = await cli.run(name, ...rest);
  if (!answer.ok) throw new Error(answer.error);
  return answer.value;
}

const orders = (weight: number): ReturnType<typeof buildEncoded> =>
  buildEncoded(buildSet({ service: 'orders', peers: [buildPeer({ weight })] }));

interface Call {
  readonly epoch?: number;
  readonly seen?: number;
  readonly expected?: number;
  readonly weight?: number;
}

/** Publishes `orders`; by default in epoch 10, with nothing seen and nothing expected. */
function publish({ epoch = 10, seen = 0, expected = 0, weight = 1 }: Call = {}): Promise<PublishAnswer> {
  return publisher.publish({
    epoch,
    last_generation: seen,
    expected_generation: expected,
    at: AT,
    encoded: orders(weight),
  });
}

publisherContract('Redis', async () => {
  const proxy = await startTcpProxy(Number(new URL(url).port));
  return {
    publisher: () =>
      createPublisher({
        ...{ url: `redis://127.0.0.1:${String(proxy.port)}`, log, clock, scripts },
        commandTimeoutMs: 2_000,
      }),
    connect: (mode) => {
      proxy.setMode(({ pass: 'pass', away: 'cut', deaf: 'swallow_answers' } as const)[mode]);
    },
    takeWrites: (takes) => command('CONFIG', 'SET', 'maxmemory', takes ? '0' : '1'),
    wipe: () => command('FLUSHALL'),
    keep: async () => {
      for (const key of (await command('KEYS', '*')) as readonly string[])
        await command('COPY', key, key, 'DB', '1');
    },
    goBack: () => command('SWAPDB', '0', '1'),
    // A good document, and not the one of the hash beside it.
    damage: (service) =>
      command('HSET', KEYS.set(service), 'payload', buildEncoded(buildSet({ service, peers: [] })).payload),
    close: () => proxy.close(),
  };
});

const stored = (): Promise<unknown> =>
  command('HMGET', KEYS.set('orders'), 'epoch', 'generation', 'hash', 'at', 'payload');
const meta = (): Promise<unknown> => command('HMGET', KEYS.meta, 'epoch', 'generation', 'sealed', 'layout');

describe('open', () => {
  test('writes meta, and publishes it', async () => {
    expect(await publisher.open(10)).toEqual({ kind: 'opened', generation: 0 });
    expect(await meta()).toEqual(['10', '0', '0', '1']);
    await vi.waitFor(() => {
      expect(heard).toEqual(['10:0']);
    });
  });

  test('goes on above the index if only meta was lost', async () => {
    await publisher.open(10);
    await publish();
    await publish({ seen: 1, expected: 1, weight: 2 });
    await command('DEL', KEYS.meta);
    expect(await publisher.open(11)).toEqual({ kind: 'opened', generation: 2 });
  });

  test.each([
    ['a string instead of meta', ['SET', KEYS.meta, 'x']],
    ['words instead of numbers', ['HSET', KEYS.meta, 'epoch', 'ten', 'generation', '-3']],
    [
      'numbers that are none of ours',
      ['HSET', KEYS.meta, 'epoch', '99999999999999999999', 'generation', '1e3'],
    ],
    ['a string instead of the index', ['SET', KEYS.index, 'x']],
  ] as const)('mends %s', async (_what, damage) => {
    await command(...damage);
    expect(await publisher.open(10)).toEqual({ kind: 'opened', generation: 0 });
    expect(await publish()).toEqual({ kind: 'published', generation: 1 });
  });

  test('epochs and generations are exact up to 2^53 - 1', async () => {
    const epoch = Number.MAX_SAFE_INTEGER;
    await publisher.open(epoch);
    await command('HSET', KEYS.meta, 'generation', '9007199254740989');
    expect(await publish({ epoch })).toEqual({ kind: 'published', generation: 9007199254740990 });
    expect(await publish({ epoch, weight: 2 })).toEqual({
      kind: 'conflict',
      generation: 9007199254740990,
      epoch,
    });
    expect(await command('ZSCORE', KEYS.index, 'orders')).toBe('9007199254740990');
  });
});

describe('publish', () => {
  test('writes the set, its index entry and the generation, and publishes them', async () => {
    await publisher.open(10);
    expect(await publish()).toEqual({ kind: 'published', generation: 1 });
    const { hash, payload } = orders(1);
    expect(await stored()).toEqual(['10', '1', hash, AT, payload]);
    expect(await command('ZRANGE', KEYS.index, '0', '-1', 'WITHSCORES')).toEqual([['orders', '1']]);
    expect(await meta()).toEqual(['10', '1', '0', '1']);
    expect(await command('TTL', KEYS.set('orders'))).toBe(-1);
    await vi.waitFor(() => {
      expect(heard).toEqual(['10:0', '10:1']);
    });
  });

  test('is lost without meta, and with a damaged one', async () => {
    expect(await publish()).toEqual({ kind: 'lost' });
    await command('SET', KEYS.meta, 'x');
    expect(await publish()).toEqual({ kind: 'lost' });
    expect(await command('EXISTS', KEYS.set('orders'), KEYS.index)).toBe(0);
  });

  test.each([
    ['another payload under the same hash', ['HSET', KEYS.set('orders'), 'payload', '{}'], 1],
    ['no payload', ['HDEL', KEYS.set('orders'), 'payload'], 1],
    ['a generation in words', ['HSET', KEYS.set('orders'), 'generation', 'two'], 0],
    ['a string instead of the set', ['SET', KEYS.set('orders'), 'x'], 0],
  ] as const)('mends %s', async (_what, damage, isAt) => {
    await publisher.open(10);
    await publish();
    await command(...damage);
    expect(await publish({ seen: 1, expected: isAt })).toEqual({ kind: 'published', generation: 2 });
    expect(await stored()).toEqual(['10', '2', orders(1).hash, AT, orders(1).payload]);
  });

  test('the same again sets a lost index entry again', async () => {
    await publisher.open(10);
    await publish();
    await command('ZREM', KEYS.index, 'orders');
    expect(await publish({ seen: 1, expected: 1 })).toEqual({ kind: 'same', generation: 1 });
    expect(await command('ZSCORE', KEYS.index, 'orders')).toBe('1');
  });

  test('survives SCRIPT FLUSH', async () => {
    await publisher.open(10);
    await command('SCRIPT', 'FLUSH');
    expect(await publish()).toEqual({ kind: 'published', generation: 1 });
  });

  test('is unavailable, with its words, when Redis refuses; and nothing is half written', async () => {
    await publisher.open(10);
    await command('CONFIG', 'SET', 'maxmemory', '1');
    try {
      expect(await publish()).toMatchObject({ kind: 'unavailable', reason: expect.stringContaining('OOM') });
    } finally {
      await command('CONFIG', 'SET', 'maxmemory', '0');
    }
    expect(await meta()).toEqual(['10', '0', '0', '1']);
    expect(await publish()).toEqual({ kind: 'published', generation: 1 });
  });
});

describe('seal', () => {
  test('is published, as often as it is asked', async () => {
    await publisher.open(10);
    await publish();
    expect(await publisher.seal(10)).toEqual({ kind: 'sealed' });
    expect(await publisher.seal(10)).toEqual({ kind: 'sealed' });
    expect(await meta()).toEqual(['10', '1', '1', '1']);
    await vi.waitFor(() => {
      expect(heard).toEqual(['10:0', '10:1', '10:1', '10:1']);
    });
  });
});

describe('reading', () => {
  test('a meta that is none is none', async () => {
    await publisher.open(10);
    await command('SET', KEYS.meta, 'x');
    expect(await publisher.meta()).toEqual({ ok: true, value: null });
  });

  test('sets without those that are damaged in any way', async () => {
    await publisher.open(10);
    const documents = [
      ...['a', 'b', 'c', 'd', 'e'].map((service) => buildSet({ service })),
      buildTombstone('gone'),
      buildRoutes(),
    ].map((document) => buildEncoded(document));
    for (const encoded of documents)
      await publisher.publish({ epoch: 10, last_generation: 0, expected_generation: 0, at: AT, encoded });
    await command('HSET', KEYS.set('a'), 'payload', '{"v":1}');
    await command('SET', KEYS.set('b'), 'x');
    await command('HDEL', KEYS.set('c'), 'hash');
    await command('DEL', KEYS.set('d'));
    await command('ZADD', KEYS.index, '99', '../../etc/passwd');
    const sets = await publisher.sets();
    expect(sets.ok && sets.value.map(({ service, generation }) => [service, generation])).toEqual([
      ['e', 5],
      ['gone', 6],
      ['@routes', 7],
    ]);
    expect(sets.ok && sets.value[0]).toEqual({ ...documents[4], epoch: 10, generation: 5, at: AT });
  });

  test('sets: as they are in Redis, for who published them and for who reads them first', async () => {
    await publisher.open(10);
    await publish({ weight: 1 });
    await using stranger = createPublisher({ url, log, clock, scripts, commandTimeoutMs: 10_000 });
    await stranger.start();
    await connected(stranger);
    const bothRead = async (): Promise<unknown> => {
      const [own, others] = [await publisher.sets(), await stranger.sets()];
      expect(own).toEqual(others);
      return own.ok && own.value;
    };
    expect(await bothRead()).toEqual([{ ...orders(1), epoch: 10, generation: 1, at: AT }]);
    const [{ payload, hash }, later] = [orders(7), '2026-11-22T00:00:00Z'];
    await command(
      'HSET',
      KEYS.set('orders'),
      'payload',
      payload,
      'hash',
      hash,
      'at',
      later,
      'generation',
      '9',
    );
    expect(await bothRead()).toEqual([{ ...orders(7), epoch: 10, generation: 9, at: later }]);
    for (const damage of [
      ['payload', orders(1).payload],
      ['hash', orders(1).hash, 'payload', payload],
    ]) {
      await command('HSET', KEYS.set('orders'), ...damage);
      expect(await bothRead()).toEqual([]);
    }
    await command('HSET', KEYS.set('orders'), 'payload', orders(1).payload);
    expect(await bothRead()).toEqual([{ ...orders(1), epoch: 10, generation: 9, at: later }]);
  });
});

describe('verify', () => {
  const published = ['a', 'b', 'c'].map((service) => buildEncoded(buildSet({ service })));
  async function publishAll(): Promise<readonly PublishedDocument[]> {
    await publisher.open(10);
    for (const encoded of published)
      await publisher.publish({ epoch: 10, last_generation: 0, expected_generation: 0, at: AT, encoded });
    const sets = await publisher.sets();
    return sets.ok ? sets.value : [];
  }

  test.each<[string, readonly string[]]>([
    ['a payload that is not that of its hash', ['HSET', KEYS.set('b'), 'payload', '{}']],
    ['a hash that is not that of its payload', ['HSET', KEYS.set('b'), 'hash', '0']],
    ['no payload', ['HDEL', KEYS.set('b'), 'payload']],
    ['another generation', ['HSET', KEYS.set('b'), 'generation', '1']],
    ['another epoch', ['HSET', KEYS.set('b'), 'epoch', '9']],
    ['no place in the index', ['ZREM', KEYS.index, 'b']],
    ['another place in the index', ['ZADD', KEYS.index, '7', 'b']],
    ['no set', ['DEL', KEYS.set('b')]],
  ])('names a set with %s', async (_, damage) => {
    const before = await publishAll();
    expect(await publisher.verify(before)).toEqual({ ok: true, value: null });
    await command(damage[0]!, ...damage.slice(1));
    expect(await publisher.verify(before)).toEqual({ ok: true, value: 'b' });
  });

  test.each([KEYS.set('b'), KEYS.index])('takes %s of another type for a difference', async (key) => {
    const before = await publishAll();
    await command('SET', key, 'x');
    expect(await publisher.verify(before)).toEqual({ ok: true, value: key === KEYS.index ? 'a' : 'b' });
  });

  test('writes nothing', async () => {
    const before = await publishAll();
    const all = async (): Promise<unknown> =>
      Promise.all([KEYS.meta, KEYS.set('a'), KEYS.set('b'), KEYS.index].map((key) => command('DUMP', key)));
    const kept = await all();
    await publisher.verify(before);
    expect(await all()).toEqual(kept);
  });

  test('finds the one in sets of megabytes, which are compared a few at a time', async () => {
    await publisher.open(10);
    const peers = Array.from({ length: 4_000 }, (_, n) =>
      buildPeer({ id: `10.0.${n >> 8}.${n & 255}:80`, host: `10.0.${n >> 8}.${n & 255}`, port: 80 }),
    );
    for (const service of ['a', 'b', 'c', 'd']) {
      const encoded = buildEncoded(buildSet({ service, peers }));
      expect(encoded.payload.length).toBeGreaterThan(300_000);
      await publisher.publish({ epoch: 10, last_generation: 0, expected_generation: 0, at: AT, encoded });
    }
    const sets = await publisher.sets();
    const before = sets.ok ? sets.value : [];
    expect(before).toHaveLength(4);
    expect(await publisher.verify(before)).toEqual({ ok: true, value: null });
    await command('HSET', KEYS.set('d'), 'payload', '{}');
    expect(await publisher.verify(before)).toEqual({ ok: true, value: 'd' });
  });
});

test('10,000 sets are published and read back in a few seconds', async () => {
  const all = Array.from({ length: 10_000 }, (_, number) =>
    buildEncoded(buildSet({ service: `service-${number}` })),
  );
  await publisher.open(10);
  const started = performance.now();
  const published = await Promise.all(
    all.map((encoded) =>
      publisher.publish({ epoch: 10, last_generation: 0, expected_generation: 0, at: AT, encoded }),
    ),
  );
  const perSecond = 10_000 / ((performance.now() - started) / 1_000);
  expect(published.map((answer) => answer.kind === 'published' && answer.generation)).toEqual(
    all.map((_, index) => index + 1),
  );
  expect(perSecond).toBeGreaterThan(2_000); // 15,000 and more on an idle machine
  const sets = await publisher.sets();
  expect(sets.ok && sets.value.length).toBe(10_000);
  expect(await publisher.verify(sets.ok ? sets.value : [])).toEqual({ ok: true, value: null });
});

describe('the probe', () => {
  test('takes a writable server for one, and leaves no trace', async () => {
    expect(await publisher.probe()).toBeNull();
    expect(await command('DBSIZE')).toBe(0);
    await publisher.open(7);
    const before = await command('HGETALL', KEYS.meta);
    expect(await publisher.probe()).toBeNull();
    expect(await command('HGETALL', KEYS.meta)).toEqual(before);
    expect(await command('DBSIZE')).toBe(1);
  });

  test.each<[string, readonly (readonly string[])[], readonly (readonly string[])[], RegExp]>([
    [
      'has no memory left',
      [['CONFIG', 'SET', 'maxmemory', '1']],
      [['CONFIG', 'SET', 'maxmemory', '0']],
      /^OOM/,
    ],
    [
      'lacks the replicas that it must have',
      [['CONFIG', 'SET', 'min-replicas-to-write', '1']],
      [['CONFIG', 'SET', 'min-replicas-to-write', '0']],
      /^NOREPLICAS/,
    ],
    [
      'gives the user no right to write',
      [['ACL', 'SETUSER', 'default', '-@write', '+@connection']],
      [['ACL', 'SETUSER', 'default', '+@all']],
      /NOPERM|can't run this command/,
    ],
    ['became a replica', [['REPLICAOF', '127.0.0.1', '1']], [['REPLICAOF', 'NO', 'ONE']], /^READONLY/],
  ])('says it in the words of a server that %s', async (_what, hurt, mend, says) => {
    await publisher.open(7);
    for (const words of hurt) await command(...(words as [string, ...string[]]));
    const reason = await publisher.probe();
    for (const words of mend) await command(...(words as [string, ...string[]]));
    expect(reason).toMatch(says);
    expect(await publisher.probe()).toBeNull();
  });
});
