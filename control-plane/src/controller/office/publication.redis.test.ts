import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../clock.js';
import { reservePort } from '../../local/port_reservation.js';
import { type LocalProcess } from '../../local/process.js';
import { launchRedis } from '../../local/redis.js';
import type { Meta, Office, Publisher, Term } from '../../model/ports.js';
import { err, ok, type Result } from '../../model/result.js';
import type { EncodedDocument } from '../../model/set.js';
import { RedisLink } from '../../redis/client.js';
import { KEYS } from '../../redis/keys.js';
import { createPublisher } from '../../redis/publisher.js';
import { loadScripts, type PublishingScripts } from '../../redis/scripts.js';
import { buildEncoded, buildPeer, buildSet } from '../../testing/builders.js';
import { createFakeClock, type FakeClock } from '../../testing/clock.js';
import { localRedis } from '../../testing/redis_address.js';
import { createRecordingLog } from '../../testing/log.js';
import { Leadership } from './leadership.js';
import { Publication } from './publication.js';

/* The hand on Redis against a real one. The office is a counter, as ZooKeeper's znode is one. */

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-publication-'));
const log = createRecordingLog();
let redis: LocalProcess;
let url: string;
let scripts: PublishingScripts;
let cli: RedisLink;
let publisher: Publisher;
let clock: FakeClock;
let office: Term;

beforeAll(async () => {
  const port = await reservePort();
  url = `redis://127.0.0.1:${String(port)}`;
  scripts = await loadScripts(fileURLToPath(new URL('../../../../lua/redis', import.meta.url)));
  redis = await launchRedis({ dir, port });
  const address = localRedis(port);
  cli = new RedisLink({ address, name: 'cli', log, clock: systemClock, commandTimeoutMs: 10_000 });
  await cli.start();
});
afterAll(async () => {
  await cli.close();
  await redis.stop();
  rmSync(dir, { recursive: true });
});
beforeEach(async () => {
  clock = createFakeClock();
  publisher = createPublisher({ url, log, clock: systemClock, scripts, commandTimeoutMs: 10_000 });
  await publisher.start();
  await vi.waitFor(
    () => {
      for (const one of [publisher, cli]) expect(one.state().state).toBe('connected');
    },
    { timeout: 20_000, interval: 5 },
  );
  await command('FLUSHALL');
  office = { epoch: 0, version: 0 };
  ours = null;
});
afterEach(() => publisher.close());

async function command(...words: readonly string[]): Promise<unknown> {
  const [name = '', ...rest] = words;
  const answer = await cli.run(name, ...rest);
  if (!answer.ok) throw new Error(answer.error);
  return answer.value;
}

let ours: Term | null;
/** How often the epochs of copies were asked for. */
let copiesAsked = 0;
/** What is assigned to `office` by a test was taken by another controller. */
const counter: Office = {
  take: (floor) => {
    office = { epoch: Math.max(office.epoch + 1, floor), version: office.version + 1 };
    ours = office;
    return Promise.resolve(ok(office));
  },
  present: () => Promise.resolve(ok({ ...office, ours: ours === office })),
  isPresent: ({ version }) => Promise.resolve(ok(version === office.version)),
};

function publication(
  over: Partial<Publisher & { readonly office: Office }> = {},
  heard = 0,
  settleLoss: (term: Term) => Promise<Result<null, string>> = () => Promise.resolve(ok(null)),
): Publication {
  return subjects(over, heard, settleLoss).publication;
}

/** Elected, whenever it takes part. */
const election = {
  resigned: 0,
  state: () => 'elected' as const,
  resign: () => {
    election.resigned += 1;
  },
};

function subjects(
  over: Partial<Publisher & { readonly office: Office }> = {},
  heard = 0,
  settleLoss: (term: Term) => Promise<Result<null, string>> = () => Promise.resolve(ok(null)),
): { readonly publication: Publication; readonly leadership: Leadership } {
  const bound = new Proxy(publisher, {
    get: (target, name) => {
      const value: unknown = Reflect.get(over, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
  const office = over.office ?? counter;
  const leadership = new Leadership({
    ...{ office, election, clock, log, settleLoss, highestEpoch: () => heard },
    copiedEpoch: () => {
      copiesAsked += 1;
      return Promise.resolve(0);
    },
  });
  const deps = { publisher: bound, leadership, clock, log, onFirstRead: () => undefined };
  return { leadership, publication: new Publication(deps) };
}
const documents = (weight: number): ReadonlyMap<string, EncodedDocument> =>
  new Map([['shop', buildEncoded(buildSet({ peers: [buildPeer({ weight })] }))]]);

test('a set that vanished or was changed in Redis is found by verifying, and put back under a new epoch', async () => {
  const subject = publication();
  expect(await subject.prepare()).toBe(true);
  await subject.publishAll(documents(1));
  expect(subject.state).toBe('sealed');
  expect(await subject.verify()).toBe(true);
  await command('DEL', KEYS.set('shop'));
  expect(await subject.verify()).toBe(false);
  expect(await subject.prepare()).toBe(true);
  await subject.publishAll(documents(1));
  expect(await subject.verify()).toBe(true);
  expect(subject.state).toBe('sealed');
  expect(subject.isInForce('shop', documents(1).get('shop')!.hash)).toBe(true);
});

test('copies are asked while another controller may have led before, and not for each doubt about Redis', async () => {
  copiesAsked = 0;
  const { publication: subject, leadership } = subjects();
  expect(await subject.prepare()).toBe(true);
  expect(copiesAsked).toBe(1);
  leadership.caughtUp();
  subject.doubt('tried');
  expect(await subject.prepare()).toBe(true);
  expect(copiesAsked).toBe(1);
  leadership.acceptLoss();
  subject.doubt('tried');
  expect(await subject.prepare()).toBe(true);
  expect(copiesAsked).toBe(2);
});

test('an answer that is lost leaves unsettled what is published, until a later one shows it', async () => {
  let lost = false;
  const subject = publication({
    publish: async (request) => {
      const answer = await publisher.publish(request);
      return lost ? { kind: 'unavailable', reason: 'the answer is lost' } : answer;
    },
  });
  await subject.prepare();
  await subject.publishAll(documents(0));
  const hash = documents(0).get('shop')!.hash;
  lost = true;
  await subject.publishAll(documents(5));
  expect([...subject.unsettled]).toEqual(['shop']);
  expect(subject.isInForce('shop', hash)).toBe(false);
  lost = false;
  await subject.publishAll(documents(0));
  expect([...subject.unsettled]).toEqual([]);
  expect(subject.isInForce('shop', hash)).toBe(true);
  expect(await command('HGET', KEYS.set('shop'), 'generation')).toBe('3');
});

test('what waits for its turn is as unsure as what is under way', async () => {
  const names = Array.from({ length: 100 }, (_, n) => `shop-${String(n)}`);
  const all = (weight: number): ReadonlyMap<string, EncodedDocument> =>
    new Map(
      names.map((service) => {
        return [service, buildEncoded(buildSet({ service, peers: [buildPeer({ weight })] }))];
      }),
    );
  const subject = publication();
  await subject.prepare();
  await subject.publishAll(all(0));
  expect(subject.unsettled.size).toBe(0);
  const publishing = subject.publishAll(all(5));
  expect([...subject.unsettled].sort()).toEqual([...names].sort());
  await publishing;
  expect(subject.unsettled.size).toBe(0);
});

test('a doubt that comes while the seal is under way is not forgotten', async () => {
  const subject: Publication = publication({
    seal: async (epoch) => {
      const answer = await publisher.seal(epoch);
      subject.doubt('its master_replid changed');
      return answer;
    },
  });
  await subject.prepare();
  await subject.publishAll(documents(1));
  expect(subject.state).toBe('unread');
});

test('a higher epoch in Redis: a standby if ZooKeeper says that another leads, above it if not', async () => {
  const { publication: subject, leadership } = subjects();
  await subject.prepare();
  await subject.publishAll(documents(1));
  await command('HSET', KEYS.meta, 'epoch', String(office.epoch + 100));
  await clock.advance(2_000);
  expect(await subject.prepare()).toBe(true);
  expect(leadership.term?.epoch).toBe(office.epoch);
  await subject.publishAll(documents(1));
  expect(subject.state).toBe('sealed');

  office = { epoch: office.epoch + 1, version: office.version + 1 };
  await publisher.open(office.epoch);
  const taken = office;
  await clock.advance(2_000);
  expect(await subject.prepare()).toBe(false);
  expect(leadership.state).toBe('standby');
  expect(office).toBe(taken);
  subject.doubt('anything');
  expect(await subject.prepare()).toBe(false);
  expect(leadership.state).toBe('standby');
});

test('a standby takes nothing by itself; as a candidate it leads again, above the other, and has to catch up', async () => {
  const { publication: subject, leadership } = subjects();
  expect(leadership.state).toBe('candidate');
  await subject.prepare();
  await subject.publishAll(documents(1));
  leadership.caughtUp();
  const own = leadership.term!;
  office = { epoch: own.epoch + 1, version: own.version + 1 };
  const other = office;
  await publisher.open(other.epoch);
  const { resigned } = election;
  expect(await leadership.refused(own)).toBe('fenced');
  expect(leadership).toMatchObject({ state: 'standby', term: own });
  expect(subject.isOpen).toBe(false);
  await clock.advance(60_000);
  expect(await subject.prepare()).toBe(false);
  expect(subject.state).toBe('unread');
  expect(office).toBe(other);
  expect(election.resigned).toBe(resigned + 1);
  leadership.look();
  expect(leadership).toMatchObject({ state: 'candidate', term: null });
  await clock.advance(5_000);
  expect(await subject.prepare()).toBe(true);
  expect(office.epoch).toBeGreaterThan(other.epoch);
  expect(leadership).toMatchObject({ state: 'leading', term: office, takenOver: office });
  await subject.publishAll(documents(1));
  expect(subject.state).toBe('sealed');
});

test('a term of our own that was taken without an answer is adopted, and is no fence', async () => {
  let lose = false;
  const deaf: Office = {
    ...counter,
    take: async (floor) => {
      const taken = await counter.take(floor);
      return lose ? err({ kind: 'unavailable', reason: 'the answer is lost' }) : taken;
    },
  };
  const { publication: subject, leadership } = subjects({ office: deaf });
  await subject.prepare();
  await subject.publishAll(documents(1));
  leadership.caughtUp();
  const first = leadership.term!;
  lose = true;
  await command('FLUSHALL');
  await clock.advance(2_000);
  expect(await subject.prepare()).toBe(false);
  expect(office.version).toBe(first.version + 1);
  // A client's write under the term that was believed to be present.
  expect(await leadership.refused(first)).toBe('moved');
  expect(leadership.term).toEqual(office);
  lose = false;
  await clock.advance(5_000);
  expect(await subject.prepare()).toBe(true);
  await subject.publishAll(documents(1));
  expect(subject.state).toBe('sealed');
  // Nobody else led between the two, so there is nothing to catch up with.
  expect(leadership.takenOver).toBeNull();
});

test('a write that was refused while the epoch is being raised waits for the new term', async () => {
  let answer: (() => void) | undefined;
  let slow = false;
  const { publication: subject, leadership } = subjects({
    office: {
      ...counter,
      take: async (floor) => {
        const taken = await counter.take(floor);
        if (slow) await new Promise<void>((resolve) => (answer = resolve));
        return taken;
      },
    },
  });
  await subject.prepare();
  const first = leadership.term!;
  slow = true;
  subject.doubt('anything');
  const prepared = subject.prepare();
  await vi.waitFor(() => expect(office.version).toBe(first.version + 1));
  const refused = leadership.refused(first);
  answer?.();
  expect(await refused).toBe('moved');
  expect(await prepared).toBe(true);
  expect(leadership.term).toEqual(office);
});

test('only a term that is not ours ends leadership; a term that cannot be read ends nothing', async () => {
  let away = false;
  const { publication: subject, leadership } = subjects({
    office: {
      ...counter,
      present: () =>
        away ? Promise.resolve(err({ kind: 'unavailable', reason: 'away' })) : counter.present(),
    },
  });
  await subject.prepare();
  const term = leadership.term!;
  away = true;
  expect(await leadership.refused(term)).toBe('unknown');
  away = false;
  // ZooKeeper was put back to before the term: that is a data loss, not another controller.
  office = { epoch: 1, version: 0 };
  expect(await leadership.refused(term)).toBe('unknown');
  expect(leadership.state).toBe('leading');
  office = { epoch: term.epoch + 1, version: term.version + 1 };
  expect(await leadership.refused(term)).toBe('fenced');
  expect(leadership.state).toBe('standby');
});

test('another controller that is found while a data loss is settled makes a standby', async () => {
  const { publication: subject, leadership } = subjects({}, 0, () => {
    office = { epoch: office.epoch + 1, version: office.version + 1 };
    return Promise.resolve(err('fenced'));
  });
  await subject.prepare();
  subject.acceptLoss();
  expect(await subject.prepare()).toBe(false);
  expect(leadership.state).toBe('standby');
});

test('an epoch that Redis has and ZooKeeper has not suspends publication, start after start, until Redis is flushed', async () => {
  await publisher.open(5_000_000_000);
  for (let starts = 0; starts < 3; starts += 1) {
    const { publication: subject, leadership } = subjects();
    expect(await subject.prepare()).toBe(false);
    expect(leadership.suspended).toMatch(/accept-data-loss/);
    await clock.advance(5_000);
    expect(await subject.prepare()).toBe(false);
  }
  const { publication: subject, leadership } = subjects();
  await subject.prepare();
  await command('FLUSHALL');
  await clock.advance(5_000);
  expect(await subject.prepare()).toBe(true);
  expect(leadership.suspended).toBeNull();
});

test('an epoch goes above what gateways report, and is not raised again while it waits', async () => {
  const subject = publication(
    { open: () => Promise.resolve({ kind: 'unavailable', reason: 'away' }) },
    6_000_000_000,
  );
  await subject.prepare();
  expect(office.epoch).toBe(6_000_000_001);
  await clock.advance(60_000);
  await subject.prepare();
  expect(office.epoch).toBe(6_000_000_001);
});

test('a new connection ends the wait that failures before it had earned', async () => {
  let away = true;
  const meta = (): Promise<Result<Meta | null, string>> =>
    away ? Promise.resolve(err('away')) : publisher.meta();
  const subject = publication({ meta });
  for (let i = 0; i < 8; i++) {
    expect(await subject.prepare()).toBe(false);
    await clock.advance(2_000);
  }
  expect(await subject.prepare()).toBe(false);
  away = false;
  subject.doubt('not a new connection');
  expect(await subject.prepare()).toBe(false);
  subject.reconnected('a new connection');
  expect(await subject.prepare()).toBe(true);
});

test('an accepted loss is settled under a term below that of Redis, and only then the epoch goes above it', async () => {
  await command('HSET', KEYS.meta, 'epoch', '5000000000', 'generation', '7', 'sealed', '1', 'layout', '1');
  const terms: number[] = [];
  let settles = false;
  const { publication: subject, leadership } = subjects({}, 0, ({ epoch }) => {
    terms.push(epoch);
    return Promise.resolve(settles ? ok(null) : err('not yet'));
  });
  expect(await subject.prepare()).toBe(false);
  expect(leadership.suspended).toMatch(/accept-data-loss/);
  subject.acceptLoss();
  expect(await subject.prepare()).toBe(false);
  expect(leadership.suspended).toMatch(/accept-data-loss/);
  settles = true;
  await clock.advance(5_000);
  expect(await subject.prepare()).toBe(true);
  expect(terms.every((epoch) => epoch < 5_000_000_000)).toBe(true);
  expect(terms).toHaveLength(2);
  expect(leadership.term?.epoch).toBe(5_000_000_001);
  expect(leadership.suspended).toBeNull();
  await subject.publishAll(documents(1));
  expect(subject.state).toBe('sealed');
});
