import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';
import { comparePositions, type Position } from '../model/position.js';
import { localRedis } from '../testing/redis_address.js';
import { buildEncoded, buildPeer, buildSet } from '../testing/builders.js';
import { createRecordingLog } from '../testing/log.js';
import { RedisLink } from './client.js';
import { KEYS } from './keys.js';
import { createPublisher, type RedisPublisher } from './publisher.js';
import { loadScripts } from './scripts.js';

const SCRIPTS = fileURLToPath(new URL('../../../lua/redis', import.meta.url));
const AT = '2026-11-21T00:00:00Z';
const NOWHERE: Position = { epoch: 0, generation: 0 };
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-follow-'));
let redis: LocalProcess;
let publisher: RedisPublisher;
let gateway: RedisLink;

beforeAll(async () => {
  const port = await reservePort();
  redis = await launchRedis({ dir, port });
  const shared = { log: createRecordingLog(), clock: systemClock, commandTimeoutMs: 10_000 };
  const scripts = await loadScripts(SCRIPTS);
  publisher = createPublisher({ url: `redis://127.0.0.1:${port}`, scripts, ...shared });
  gateway = new RedisLink({
    address: localRedis(port),
    name: 'gateway',
    scripts: { follow: readFileSync(join(SCRIPTS, 'follow.lua'), 'utf8') },
    ...shared,
  });
  await Promise.all([publisher.start(), gateway.start()]);
  await vi.waitFor(
    () => {
      for (const link of [publisher, gateway]) expect(link.state().state).toBe('connected');
    },
    { timeout: 20_000 },
  );
});

afterAll(async () => {
  await Promise.all([publisher.close(), gateway.close()]);
  await redis.stop();
  rmSync(dir, { recursive: true });
});

beforeEach(() => command('FLUSHALL'));

async function command(name: string, ...words: readonly string[]): Promise<unknown> {
  const answer = await gateway.run(name, ...words);
  if (!answer.ok) throw new Error(answer.error);
  return answer.value;
}

async function follow(from: Position): Promise<readonly string[]> {
  const answer = await gateway.runScript(
    'follow',
    [KEYS.meta, KEYS.index],
    [String(from.epoch), String(from.generation)],
  );
  if (!answer.ok) throw new Error(answer.error);
  return answer.value as string[];
}

const content = (service: string, weight: number) =>
  buildEncoded(buildSet({ service, peers: [buildPeer({ weight })] }));

/** A leading controller: it knows its epoch and reads from Redis where each set is. */
async function publish(epoch: number, service: string, weight: number): Promise<void> {
  const generation = Number((await command('HGET', KEYS.set(service), 'generation')) ?? '0');
  const answer = await publisher.publish({
    epoch,
    last_generation: 0,
    expected_generation: generation,
    at: AT,
    encoded: content(service, weight),
  });
  if (answer.kind !== 'published' && answer.kind !== 'same') throw new Error(JSON.stringify(answer));
}

describe('what follow.lua answers', () => {
  test('nothing from an empty Redis: unknown is not empty', async () => {
    expect(await follow(NOWHERE)).toEqual([]);
  });

  test('the whole index to a newcomer, what is above its generation to a follower, nothing to one who is there', async () => {
    await publisher.open(10);
    await publish(10, 'a', 1);
    await publish(10, 'b', 1);
    await publish(10, 'c', 1);
    expect(await follow(NOWHERE)).toEqual(['10', '3', '0', '1', 'a', '1', 'b', '2', 'c', '3']);
    await publisher.seal(10);
    await publish(10, 'a', 2);
    expect(await follow({ epoch: 10, generation: 2 })).toEqual(['10', '4', '1', '0', 'c', '3', 'a', '4']);
    expect(await follow({ epoch: 10, generation: 4 })).toEqual(['10', '4', '1', '0']);
    expect(await follow({ epoch: 0, generation: 4 })).toEqual([
      '10',
      '4',
      '1',
      '1',
      'b',
      '2',
      'c',
      '3',
      'a',
      '4',
    ]);
  });

  test('the whole index to one of another epoch, older or newer', async () => {
    await publisher.open(10);
    await publish(10, 'a', 1);
    await publisher.open(11);
    expect(await follow({ epoch: 10, generation: 1 })).toEqual(['11', '1', '0', '1', 'a', '1']);
    expect(await follow({ epoch: 12, generation: 9 })).toEqual(['11', '1', '0', '1', 'a', '1']);
  });

  test('versions to the last digit', async () => {
    await publisher.open(Number.MAX_SAFE_INTEGER - 1);
    await command('HSET', KEYS.meta, 'generation', '9007199254740989');
    await publish(Number.MAX_SAFE_INTEGER - 1, 'a', 1);
    expect(await follow({ epoch: Number.MAX_SAFE_INTEGER - 1, generation: 9007199254740989 })).toEqual([
      ...['9007199254740990', '9007199254740990', '0', '0', 'a', '9007199254740990'],
    ]);
  });

  test('an error instead of an answer about what cannot be read', async () => {
    await command('SET', KEYS.meta, 'x');
    await expect(follow(NOWHERE)).rejects.toThrow(/WRONGTYPE/);
    await command('DEL', KEYS.meta);
    await publisher.open(10);
    await command('SET', KEYS.index, 'x');
    await expect(follow(NOWHERE)).rejects.toThrow(/WRONGTYPE/);
  });
});

/** A gateway by the book (docs/contract/wire.md, "How a gateway follows"), with a check that it never goes back. */
class Follower {
  applied: Position = NOWHERE;
  readonly sets = new Map<string, Position & { readonly payload: string }>();
  /** The whole index is asked for until one was seen sealed in this epoch. */
  #settled = false;

  async catchUp(): Promise<void> {
    const from = this.#settled ? this.applied : { ...this.applied, epoch: 0 };
    const [epoch, generation, sealed, whole, ...entries] = await follow(from);
    const meta = { epoch: Number(epoch), generation: Number(generation) };
    if (epoch === undefined || comparePositions(meta, this.applied) < 0) return;
    if (meta.epoch !== this.applied.epoch) this.#settled = false;
    const names = entries.filter((_, place) => place % 2 === 0);
    for (const name of names) await this.#take(name);
    if (whole === '1' && sealed === '1') {
      for (const name of this.sets.keys()) if (!names.includes(name)) this.sets.delete(name);
      this.#settled = true;
    }
    this.applied = meta;
  }

  async #take(name: string): Promise<void> {
    const answer = (await command('HMGET', KEYS.set(name), 'epoch', 'generation', 'payload')) as string[];
    const set = { epoch: Number(answer[0]), generation: Number(answer[1]), payload: answer[2]! };
    const mine = this.sets.get(name);
    if (mine === undefined || comparePositions(set, mine) > 0) this.sets.set(name, set);
  }
}

test('whatever is published, opened, sealed, wiped and missed: followers arrive at the truth', async () => {
  const service = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('publish' as const), service, weight: fc.nat(3) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('catch up' as const), who: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('become the leader' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('become the leader and finish' as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom('wipe' as const, 'lose meta' as const), service }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('prune' as const), service }) },
  );
  let base = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      await command('FLUSHALL');
      let epoch = (base += 1_000);
      const wanted = new Map<string, number>();
      const followers = [new Follower(), new Follower(), new Follower()];
      const takeLeadership = async (): Promise<void> => {
        epoch += 1;
        await publisher.open(epoch);
      };
      const finish = async (): Promise<void> => {
        for (const [name, weight] of wanted) await publish(epoch, name, weight);
        expect(await publisher.seal(epoch)).toEqual({ kind: 'sealed' });
      };
      await takeLeadership();
      for (const one of steps) {
        if (one.do === 'publish') {
          wanted.set(one.service, one.weight);
          await publish(epoch, one.service, one.weight);
        } else if (one.do === 'catch up') {
          const follower = followers[one.who]!;
          const before = follower.applied;
          await follower.catchUp();
          expect(comparePositions(follower.applied, before)).toBeGreaterThanOrEqual(0);
        } else if (one.do === 'become the leader') await takeLeadership();
        else if (one.do === 'become the leader and finish') {
          await takeLeadership();
          await finish();
        } else if (one.do === 'prune') {
          // A removed service disappears from Redis; that counts once a later epoch is sealed without it.
          wanted.delete(one.service);
          await command('DEL', KEYS.set(one.service));
          await command('ZREM', KEYS.index, one.service);
          await takeLeadership();
        } else {
          await (one.do === 'wipe' ? command('FLUSHALL') : command('DEL', KEYS.meta));
          await takeLeadership();
        }
      }
      await takeLeadership();
      await finish();
      const truth = [...wanted].map(([name, weight]) => [name, content(name, weight).payload]).toSorted();
      for (const follower of followers) {
        await follower.catchUp();
        expect([...follower.sets].map(([name, set]) => [name, set.payload]).toSorted()).toEqual(truth);
        const asked = await follow(follower.applied);
        expect(asked.slice(4)).toEqual([]);
      }
    }),
    { numRuns: 200 },
  );
});
