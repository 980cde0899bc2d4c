import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ALGORITHMS,
  type Balancer,
  reservePort,
  inFlightKey,
  type Peer,
} from '../control-plane/src/testkit.js';
import { clientHeaders } from './harness/client.js';
import { startInstance, type Instance } from './harness/instance.js';
import { peer } from './harness/publish.js';
import { until } from './harness/until.js';
import { Workbench, type Answer } from './harness/workbench.js';

let bench: Workbench;
let service = '';
let named = 0;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  // Trusted, so that a test can be many clients.
  bench = await Workbench.start({ trusted_proxies: ['127.0.0.0/8'] });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await Promise.all(stops.map((stop) => stop()));
});

/** A fresh service with so many instances. */
async function fresh(count: number): Promise<Instance[]> {
  service = `svc-${++named}`;
  const made = await Promise.all(Array.from({ length: count }, () => startInstance({ service })));
  stops.push(...made.map((one) => () => one.stop()));
  return made;
}

/** An instance that answers in its own way; it is a peer, and knows how many requests it got. */
async function odd(
  answer: (request: IncomingMessage, response: ServerResponse, id: string) => void | Promise<void>,
): Promise<{ readonly peer: Peer; requests: number }> {
  const self = { peer: undefined as unknown as Peer, requests: 0 };
  const server = createServer((request, response) => {
    self.requests += 1;
    void answer(request, response, self.peer.id);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  self.peer = peer({ id: `127.0.0.1:${port}`, host: '127.0.0.1', port, version: 'v1' });
  stops.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return self;
}

/** A peer where nobody listens. */
async function deadPeer(): Promise<Peer> {
  const port = await reservePort();
  return peer({ id: `127.0.0.1:${port}`, host: '127.0.0.1', port, version: 'v1' });
}

function balancer(algorithm: Balancer['algorithm'], more: Partial<Balancer> = {}): { balancer: Balancer } {
  const hashed = algorithm === 'consistent_hash' ? { hash_on: { source: 'header', name: 'X-User' } } : {};
  return { balancer: { algorithm, ...hashed, ...more } as Balancer };
}

function instanceOf(answer: Answer): string {
  return answer.status === 200 ? (JSON.parse(answer.text) as { instance: string }).instance : '';
}

/** Sends a request for each client from 0 to `count` - 1, `concurrency` at a time. */
async function askMany(count: number, concurrency = 16): Promise<Answer[]> {
  const answers: Answer[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const i = next++;
      answers[i] = await bench.ask(service, '/', { headers: clientHeaders(i) });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return answers;
}

/** Asks without an end, until stopped. */
function keepAsking(): { readonly answers: Answer[]; stop(): Promise<void> } {
  const answers: Answer[] = [];
  let stopped = false;
  const worker = async (first: number): Promise<void> => {
    for (let i = first; !stopped; i += 8) {
      answers.push(await bench.ask(service, '/', { headers: clientHeaders(i) }));
    }
  };
  const done = Promise.all(Array.from({ length: 8 }, (_, first) => worker(first)));
  return {
    answers,
    stop: async () => {
      stopped = true;
      await done;
    },
  };
}

function statuses(answers: readonly Answer[]): number[] {
  return [...new Set(answers.map(({ status }) => status))];
}

function shares(answers: readonly Answer[], fleet: readonly { readonly id: string }[]): number[] {
  return fleet.map(({ id }) => answers.filter((one) => instanceOf(one) === id).length / answers.length);
}

describe('every algorithm', () => {
  // What hashes promise of shares is how their points lie; the others are measured by 4,000 draws or turns.
  const OFF = { ip_hash: 0.15, consistent_hash: 0.15 } as Partial<Record<string, number>>;

  test.each(ALGORITHMS)('%s splits by weight, and no request fails', async (algorithm) => {
    const fleet = await fresh(3);
    const weights = [5, 3, 2];
    await bench.serve(
      service,
      fleet.map((one, index) => peer(one, weights[index])),
      balancer(algorithm, { max_load_percent: 0 }),
    );
    const answers = await askMany(4_000);
    expect(statuses(answers)).toEqual([200]);
    const got = shares(answers, fleet);
    [0.5, 0.3, 0.2].forEach((share, index) => {
      expect(Math.abs(got[index]! - share), got.join(' ')).toBeLessThan(OFF[algorithm] ?? 0.05);
    });
  });

  test('switched live under traffic: none fails, and nobody who is out gets one, alone neither', async () => {
    const fleet = await fresh(6);
    const [one, two, weightless, draining, isolated, down] = fleet as [
      Instance,
      Instance,
      Instance,
      Instance,
      Instance,
      Instance,
    ];
    const out = [
      peer(weightless, 0),
      peer(draining, 100, { state: 'draining' }),
      peer(isolated, 100, { state: 'isolated', down: true }),
      peer(down, 100, { down: true }),
    ];
    await bench.serve(service, [peer(one), peer(two, 50), ...out]);
    const traffic = keepAsking();
    for (const round of [1, 2]) {
      for (const algorithm of ALGORITHMS) {
        const bound = round === 1 ? 125 : 0;
        await bench.serve(
          service,
          [peer(one), peer(two, 50), ...out],
          balancer(algorithm, { max_load_percent: bound }),
        );
        const [first, second] = [one.requests(), two.requests()];
        await until(
          `${algorithm} uses both`,
          () => one.requests() > first + 30 && two.requests() > second + 15,
        );
      }
    }
    await traffic.stop();
    expect(statuses(traffic.answers)).toEqual([200]);
    for (const algorithm of ALGORITHMS) {
      await bench.serve(service, out, balancer(algorithm));
      expect(statuses(await askMany(20)), algorithm).toEqual([503]);
    }
    expect(fleet.slice(2).map((each) => each.requests())).toEqual([0, 0, 0, 0]);
  });

  test.each(ALGORITHMS)('%s: an instance that refuses connections costs no request', async (algorithm) => {
    const fleet = await fresh(2);
    await bench.serve(service, [...fleet.map((one) => peer(one)), await deadPeer()], balancer(algorithm));
    const answers = await askMany(300);
    expect(statuses(answers)).toEqual([200]);
    // One client address or another came to each.
    expect(fleet.every((one) => one.requests() > 50)).toBe(true);
  });
});

describe('hashing', () => {
  const UNBOUND = { max_load_percent: 0 };

  test('one key, one instance, in every worker; its owner dead, the keys spread and none fails', async () => {
    const fleet = await fresh(5);
    const peers = fleet.map((one) => peer(one));
    await bench.serve(service, peers, balancer('consistent_hash', UNBOUND));
    const owners = (await askMany(200)).map(instanceOf);
    for (let round = 0; round < 3; round += 1)
      expect((await askMany(200, 7 + round * 9)).map(instanceOf)).toEqual(owners);
    const [dead] = fleet as [Instance];
    await dead.stop();
    const answers = await askMany(200);
    expect(statuses(answers)).toEqual([200]);
    const after = answers.map(instanceOf);
    const moved = owners.flatMap((owner, i) => (owner === dead.id ? [after[i]!] : []));
    expect(moved.length).toBeGreaterThan(15);
    expect(new Set(moved).size, moved.join(' ')).toBe(4);
    owners.forEach((owner, i) => {
      if (owner !== dead.id) expect(after[i]).toBe(owner);
    });
    // And what is taken out of the set moves no other key either.
    await bench.serve(service, peers.slice(1), balancer('consistent_hash', UNBOUND));
    const without = (await askMany(200)).map(instanceOf);
    owners.forEach((owner, i) => {
      if (owner !== dead.id) expect(without[i]).toBe(owner);
    });
  });

  const SOURCES = [
    ['header', 'X-User', (value: string) => ({ path: '/', headers: { 'x-user': value } })],
    ['cookie', 'user', (value: string) => ({ path: '/', headers: { cookie: `a=b; user=${value}` } })],
    ['query', 'key', (value: string) => ({ path: `/?other=1&key=${value}`, headers: {} })],
    ['path', undefined, (value: string) => ({ path: `/of/${value}`, headers: {} })],
  ] as const;

  test.each(SOURCES)('on %s %s', async (source, name, make) => {
    const fleet = await fresh(4);
    const hash_on = name === undefined ? { source } : { source, name };
    await bench.serve(
      service,
      fleet.map((one) => peer(one)),
      balancer('consistent_hash', { ...UNBOUND, hash_on }),
    );
    const seen = new Set<string>();
    for (let i = 0; i < 30; i += 1) {
      const { path, headers } = make(`value-${i}`);
      const answers = await Promise.all([1, 2, 3].map(() => bench.ask(service, path, { headers })));
      expect(new Set(answers.map(instanceOf)).size).toBe(1);
      seen.add(instanceOf(answers[0]!));
    }
    expect(seen.size).toBe(4);
  });

  test('without a key the requests are drawn by weight; the client address is the one behind a trusted proxy', async () => {
    const fleet = await fresh(3);
    const peers = fleet.map((one) => peer(one));
    await bench.serve(service, peers, balancer('consistent_hash', UNBOUND));
    const drawn = await Promise.all(Array.from({ length: 300 }, () => bench.ask(service)));
    shares(drawn, fleet).forEach((share) => {
      expect(share).toBeGreaterThan(0.2);
    });
    await bench.serve(service, peers, balancer('ip_hash'));
    const same = await Promise.all(Array.from({ length: 100 }, () => bench.ask(service)));
    expect(new Set(same.map(instanceOf)).size).toBe(1);
    expect(new Set((await askMany(100)).map(instanceOf)).size).toBe(3);
  });

  test('a hot key is kept within the bound', async () => {
    const fleet = await fresh(4);
    await bench.serve(
      service,
      fleet.map((one) => peer(one)),
      balancer('consistent_hash', { max_load_percent: 125 }),
    );
    const slow = (): Promise<Answer> =>
      bench.ask(service, '/?delay=0.05', { headers: { 'x-user': 'everybody' } });
    const answers = await Promise.all(Array.from({ length: 160 }, slow));
    const got = shares(answers, fleet);
    expect(statuses(answers)).toEqual([200]);
    expect(Math.max(...got), got.join(' ')).toBeLessThan(0.4);
  });
});

describe('ewma', () => {
  test('an instance that fails at once gets at most 5 % of the traffic, and so does one that is slow', async () => {
    const [one] = (await fresh(1)) as [Instance];
    const failing = await odd((_, response) => {
      response.statusCode = 500;
      response.end('no');
    });
    const slow = await odd(async (_, response, id) => {
      await pause(150);
      response.end(JSON.stringify({ instance: id }));
    });
    const two = await startInstance({ service });
    stops.push(() => two.stop());
    await bench.serve(service, [peer(one), peer(two), failing.peer], balancer('ewma'));
    const beside = await askMany(3_000);
    expect(beside.filter(({ status }) => status === 500).length).toBeLessThanOrEqual(150);
    expect(failing.requests).toBeGreaterThan(0);
    await bench.serve(service, [peer(one), peer(two), slow.peer], balancer('ewma'));
    expect(statuses(await askMany(3_000))).toEqual([200]);
    expect(slow.requests).toBeGreaterThan(0);
    expect(slow.requests).toBeLessThanOrEqual(150);
  });

  test('equal instances below a millisecond get shares within 20 % of each other', async () => {
    const fleet = await fresh(3);
    await bench.serve(
      service,
      fleet.map((one) => peer(one)),
      balancer('ewma'),
    );
    const answers = await askMany(6_000, 8);
    expect(statuses(answers)).toEqual([200]);
    const got = shares(answers, fleet);
    expect(Math.max(...got) / Math.min(...got), got.join(' ')).toBeLessThan(1.2);
  });
});

describe('sticky sessions', () => {
  const STICKY = { sticky: { cookie: 'Stay-At', max_age_s: 600 } };
  const round = balancer('weighted_round_robin', STICKY);

  function cookieOf(answer: Answer): string | undefined {
    const given = answer.headers['set-cookie'];
    const all = given === undefined ? [] : typeof given === 'string' ? [given] : given;
    return all.find((one) => one.startsWith('Stay-At='));
  }

  const ask = (token?: string, more: Record<string, string> = {}): Promise<Answer> =>
    bench.ask(service, '/', {
      headers: { ...(token === undefined ? {} : { cookie: `x=1; Stay-At=${token}` }), ...more },
    });

  /** The client's token, and where it is. */
  async function settle(): Promise<{ token: string; at: string }> {
    const answer = await ask();
    const token = /^Stay-At=([0-9a-f]{16});/.exec(cookieOf(answer) ?? '')?.[1];
    if (token === undefined) throw new Error(`no cookie: ${cookieOf(answer)}`);
    return { token, at: instanceOf(answer) };
  }

  test('a client keeps its instance by an opaque cookie; a forged one is replaced', async () => {
    const fleet = await fresh(3);
    const peers = fleet.map((one) => peer(one));
    await bench.serve(service, peers, round);
    const first = await ask();
    expect(cookieOf(first)).toMatch(/^Stay-At=[0-9a-f]{16}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/);
    expect(cookieOf(await ask(undefined, { 'x-forwarded-proto': 'https' }))).toMatch(/; Secure$/);
    for (const algorithm of ALGORITHMS) {
      await bench.serve(service, peers, balancer(algorithm, STICKY));
      const { token, at } = await settle();
      for (let i = 0; i < 20; i += 1) {
        const answer = await ask(token);
        expect([instanceOf(answer), cookieOf(answer)], algorithm).toEqual([at, undefined]);
      }
    }
    for (const forged of ['', 'x', '0123456789abcdef', '127.0.0.1:80', 'a'.repeat(4_000)]) {
      const answer = await ask(forged);
      expect(answer.status).toBe(200);
      expect(cookieOf(answer)).toBeDefined();
    }
    await bench.serve(service, peers, balancer('weighted_round_robin'));
    expect(cookieOf(await ask())).toBeUndefined();
  });

  test('draining with keep_sticky it serves those whose cookie names it, and nobody else', async () => {
    const fleet = await fresh(2);
    const peers = fleet.map((one) => peer(one));
    await bench.serve(service, peers, round);
    const { token, at } = await settle();
    const leaving = fleet.find(({ id }) => id === at)!;
    const rest = peers.filter(({ id }) => id !== at);
    const drained = peer(leaving, 0, { state: 'draining', keep_sticky: true });
    for (const algorithm of ALGORITHMS) {
      await bench.serve(service, [...rest, drained], balancer(algorithm, STICKY));
      for (let i = 0; i < 5; i += 1) expect(instanceOf(await ask(token))).toBe(at);
      const before = leaving.requests();
      expect(statuses(await askMany(30))).toEqual([200]);
      expect(leaving.requests()).toBe(before);
    }
    // The only one: its own clients are served, others have nowhere to go.
    await bench.serve(service, [drained], round);
    expect([(await ask(token)).status, (await ask()).status, (await ask('0123456789abcdef')).status]).toEqual(
      [200, 503, 503],
    );
    const OUT = [
      { state: 'draining' },
      { state: 'draining', keep_sticky: true, down: true },
      { state: 'isolated', keep_sticky: true, down: true },
      { state: 'isolated', keep_sticky: true },
      { state: 'up', keep_sticky: true },
    ] as const;
    for (const out of OUT) {
      await bench.serve(service, [...rest, peer(leaving, 0, out)], round);
      const before = leaving.requests();
      const answer = await ask(token);
      expect(instanceOf(answer), JSON.stringify(out)).toBe(rest[0]!.id);
      expect(cookieOf(answer)).toBeDefined();
      expect(leaving.requests()).toBe(before);
    }
  });

  test('a drain is obeyed by those whose cookie names the instance, from the ack and the zero on', async () => {
    const fleet = await fresh(2);
    const peers = fleet.map((one) => peer(one));
    await bench.serve(service, peers, round);
    const { token, at } = await settle();
    const leaving = fleet.find(({ id }) => id === at)!;
    const key = inFlightKey(service, at);
    for (let turn = 0; turn < 5; turn += 1) {
      await bench.serve(service, peers, round);
      let stopped = false;
      const clients = Array.from({ length: 8 }, async () => {
        const seen: number[] = [];
        while (!stopped) seen.push((await ask(token)).status);
        return seen;
      });
      const before = leaving.requests();
      await until('its clients come to it', () => leaving.requests() > before + 50);
      const rest = peers.filter(({ id }) => id !== at);
      const acked = await bench.serve(service, [...rest, peer(leaving, 0, { state: 'draining' })], round);
      await bench.heard(
        'none in flight',
        (beat) => beat.applied!.generation >= acked.generation && !beat.in_flight[key],
      );
      const left = leaving.requests();
      const [other] = fleet.filter(({ id }) => id !== at) as [Instance];
      const there = other.requests();
      await until('they go on elsewhere', () => other.requests() > there + 100);
      stopped = true;
      expect(new Set((await Promise.all(clients)).flat())).toEqual(new Set([200]));
      expect(leaving.requests()).toBe(left);
    }
  });

  test('gone or dead, the client comes to another instance with a new cookie, and loses no request', async () => {
    const fleet = await fresh(3);
    const peers = fleet.map((one) => peer(one));
    await bench.serve(service, peers, round);
    const { token, at } = await settle();
    await bench.serve(
      service,
      peers.filter(({ id }) => id !== at),
      round,
    );
    const moved = await ask(token);
    expect(moved.status).toBe(200);
    expect(instanceOf(moved)).not.toBe(at);
    expect(cookieOf(moved)).toBeDefined();
    await bench.serve(service, peers, round);
    expect(instanceOf(await ask(token))).toBe(at);
    await fleet.find(({ id }) => id === at)!.stop();
    for (let i = 0; i < 10; i += 1) {
      const answer = await ask(token);
      expect(answer.status).toBe(200);
      expect(cookieOf(answer)).toBeDefined();
    }
    // Drained and dead: one other is left, and that is one more try.
    const drained = peer(
      fleet.find(({ id }) => id === at)!,
      0,
      { state: 'draining', keep_sticky: true },
    );
    const last = peers.find(({ id }) => id !== at)!;
    await bench.serve(service, [drained, last], round);
    expect(instanceOf(await ask(token))).toBe(last.id);
  });

  test("an instance's own cookies and errors stay as they are", async () => {
    service = `svc-${++named}`;
    const own = await odd((request, response, id) => {
      response.setHeader('set-cookie', ['mine=1', 'yours=2']);
      response.statusCode = request.url === '/bad' ? 500 : 200;
      response.end(JSON.stringify({ instance: id }));
    });
    await bench.serve(service, [own.peer], round);
    for (const path of ['/', '/bad']) {
      const answer = await bench.ask(service, path);
      expect(answer.headers['set-cookie']).toHaveLength(3);
      expect(answer.headers['set-cookie']).toEqual(expect.arrayContaining(['mine=1', 'yours=2']));
    }
    // What the gateway itself answers names nobody.
    await bench.serve(service, [await deadPeer()], round);
    const failed = await ask();
    expect([failed.status, cookieOf(failed)]).toEqual([502, undefined]);
  });
});
