import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Health, Heartbeat, ServiceSet } from '../control-plane/src/testkit.js';
import { FaultyInstance } from './harness/faulty_instance.js';
import { peer } from './harness/publish.js';
import { sendMany, startTraffic, type Traffic } from './harness/traffic.js';
import { neverWithin, timePasses, unchangedFor, until, untilValue } from './harness/until.js';
import { hostOf, Workbench } from './harness/workbench.js';

/** What the heartbeat reports of health. */
interface Reported {
  readonly health?: Readonly<
    Record<string, { readonly state: string; readonly reason: string; readonly since: number }>
  >;
  readonly panic?: readonly string[];
}

let bench: Workbench;
let service = '';
let named = 0;
const started: FaultyInstance[] = [];

beforeAll(async () => {
  bench = await Workbench.start({ zone: 'here', client_body_timeout: '1s' });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await Promise.all(started.map((one) => one.refuse()));
});

/** A fresh service with so many instances. */
async function fresh(
  count: number,
): Promise<readonly [FaultyInstance, FaultyInstance, FaultyInstance, FaultyInstance]> {
  service = `faulty-${++named}`;
  const made = await Promise.all(Array.from({ length: count }, () => FaultyInstance.start(service)));
  started.push(...made);
  return made as unknown as readonly [FaultyInstance, FaultyInstance, FaultyInstance, FaultyInstance];
}

const QUICK = { connect_ms: 200, send_ms: 1_000, read_ms: 300 };

function set(health: Partial<Health> = {}, more: Partial<ServiceSet> = {}): Partial<ServiceSet> {
  return {
    timeouts: QUICK,
    retry: { tries: 1 },
    health: { max_fails: 3, fail_timeout_ms: 10_000, ...health },
    ...more,
  };
}

const traffic = (rate = 200): Traffic =>
  startTraffic({ url: bench.gateway.url, host: hostOf(service), rate });
const many = (count: number): Promise<Traffic> =>
  sendMany({ url: bench.gateway.url, host: hostOf(service), count });
const reported = async (): Promise<Reported> => {
  const beat: (Heartbeat & Reported) | null = await bench.publishing.heartbeat('gw-1');
  return beat ?? {};
};
const stateOf = async (one: FaultyInstance): Promise<string> =>
  (await reported()).health?.[`${service}|${one.id}`]?.state ?? 'healthy';
const metric = async (line: string): Promise<boolean> => (await bench.admin('/metrics')).text.includes(line);

/** Resolves once the gateway reports that state of the instance. */
const becomes = (one: FaultyInstance, state: string, timeoutMs = 20_000): Promise<string> =>
  untilValue(
    `${one.id} ${state}`,
    () => stateOf(one),
    (now) => now === state,
    { timeoutMs },
  );

describe('one of three instances', () => {
  test.each([
    ['refuses connections', 'error', (one: FaultyInstance): Promise<void> => one.refuse(), {}],
    [
      'answers 500',
      'status',
      (one: FaultyInstance): string => (one.mode = 'failing'),
      { fail_statuses: [500] },
    ],
    ['hangs', 'timeout', (one: FaultyInstance): string => (one.mode = 'hanging'), {}],
  ] as const)(
    'that %s is out after a few requests, without any retry, and reported with its reason',
    async (_, reason, hurt, health) => {
      const fleet = await fresh(3);
      const [bad] = fleet;
      const peers = fleet.slice(0, 3).map((one) => peer(one));
      await bench.serve(service, peers, set(health));
      await hurt(bad);
      const first = traffic();
      await becomes(bad, 'ejected');
      // Each worker learns of it by itself, and what was under way ends.
      await unchangedFor(500, 'failures', () => first.total() - (first.statuses.get(200) ?? 0));
      await first.stop();
      bad.forget();
      const second = await many(400);
      expect(second.failed.length / second.total()).toBeLessThanOrEqual(0.01);
      expect(bad.requests.length).toBeLessThanOrEqual(1);
      expect(await stateOf(bad)).toBe('ejected');
      const one = (await reported()).health![`${service}|${bad.id}`]!;
      expect(one.reason).toMatch(/^[345] failures within 10 s: (connection|status 500|timed out)/);
      expect(Math.abs(one.since - Date.now() / 1_000)).toBeLessThan(30);
      expect(await metric(`ebbgate_ejections_total{service="${service}",reason="${reason}"} 1`)).toBe(true);
      expect(
        await metric(`ebbgate_health{service="${service}",instance="${bad.id}",state="ejected"} 1`),
      ).toBe(true);
      // Gone from the set, gone from the metrics.
      await bench.serve(service, peers.slice(1), set(health));
      expect(await metric(`instance="${bad.id}",state=`)).toBe(false);
    },
  );

  test('that fails gets as many requests as are needed to know it, from all workers together', async () => {
    const [bad, good] = await fresh(2);
    bad.mode = 'failing';
    await bench.serve(service, [peer(bad), peer(good)], set({ fail_statuses: [500] }));
    // On connections of their own, so that all workers get some.
    for (let i = 0; i < 200; i++) await bench.ask(service, '/', { headers: { connection: 'close' } });
    expect(bad.requests.length).toBe(3);
    expect(good.requests.length).toBe(197);
  });

  test('that answers what nobody calls a failure stays in', async () => {
    const fleet = await fresh(3);
    fleet[0].mode = 'failing';
    await bench.serve(
      service,
      fleet.slice(0, 3).map((one) => peer(one)),
      set({ fail_statuses: [503] }),
    );
    const sent = await many(60);
    expect(sent.statuses.get(500)).toBeGreaterThan(10);
    expect(await stateOf(fleet[0])).toBe('healthy');
  });
});

describe('a client', () => {
  test('that sends half of a body, or goes away, ejects nobody', async () => {
    const [one] = await fresh(1);
    await bench.serve(
      service,
      [peer(one)],
      set({ max_fails: 1 }, { timeouts: { ...QUICK, read_ms: 5_000 } }),
    );
    one.mode = 'hanging';
    const { port } = new URL(bench.gateway.url);
    const half = async (): Promise<Socket> => {
      const before = one.requests.length;
      const socket = connect(Number(port), '127.0.0.1');
      socket.on('error', () => undefined);
      const head = `POST / HTTP/1.1\r\nHost: ${hostOf(service)}\r\nContent-Length: 100000\r\n\r\n`;
      socket.write(head + 'x'.repeat(1_000));
      await until('it came through', () => one.requests.length > before);
      return socket;
    };
    for (let i = 0; i < 3; i++) (await half()).destroy();
    const slow = await half();
    await new Promise((over) => slow.resume().once('close', over)); // the gateway has waited long enough for the rest
    one.mode = 'well';
    expect((await many(10)).failed).toEqual([]);
    expect(await metric(`ebbgate_ejections_total{service="${service}"`)).toBe(false);
  });
});

describe('a half-open request', () => {
  test('is one request of the whole gateway, and its failure is not seen: another instance answers', async () => {
    const [bad, good] = await fresh(2);
    const sick = set(
      { max_fails: 2, fail_timeout_ms: 700, fail_statuses: [500] },
      {
        retry: { tries: 2, on: 'server_error' },
      },
    );
    await bench.serve(service, [peer(bad), peer(good)], sick);
    bad.mode = 'hanging';
    await using stream = traffic(300);
    await becomes(bad, 'ejected');
    await unchangedFor(400, 'what was under way when it was ejected', () => bad.requests.length);
    bad.forget();
    await until('two half-open requests', () => bad.requests.length >= 2, { timeoutMs: 30_000 });
    // Twice as long as the ejection before, at least 1.4 s, and nobody asks in between.
    expect(bad.requests.length).toBe(2);
    expect(bad.requests[1]!.at - bad.requests[0]!.at).toBeGreaterThan(1_300);
    const failedBefore = stream.failed.length;
    bad.mode = 'well';
    await becomes(bad, 'healthy', 40_000);
    expect(stream.failed.length).toBe(failedBefore);
    expect(stream.failed.length).toBeLessThanOrEqual(4); // of before the ejection, at most: GETs are repeated
    const sent = await many(100);
    expect(sent.instances.get(bad.id)).toBeGreaterThan(30);
  });

  test('is not a POST, as long as others come', async () => {
    const [bad, good] = await fresh(2);
    await bench.serve(service, [peer(bad), peer(good)], set({ max_fails: 1, fail_timeout_ms: 2_000 }));
    await bad.refuse();
    await many(10);
    await becomes(bad, 'half_open');
    await bad.listen();
    await using posts = startTraffic({
      url: bench.gateway.url,
      host: hostOf(service),
      rate: 100,
      method: 'POST',
      count: 50,
    });
    await posts.done;
    expect(bad.requests.length).toBe(0);
    expect((await many(10)).failed).toEqual([]);
    await becomes(bad, 'healthy');
  });

  test('is whatever comes where nobody else is left', async () => {
    const [lost] = await fresh(1);
    const alone = set({ max_fails: 1, fail_timeout_ms: 1_000, fail_statuses: [500] });
    await bench.serve(service, [peer(lost, 100, { state: 'suspect' })], alone);
    lost.mode = 'failing';
    expect((await bench.ask(service)).status).toBe(500);
    await untilValue(
      'nobody is asked any more',
      async () => (await bench.ask(service)).status,
      (status) => status === 503,
    );
    // Each worker learns of it by itself.
    await until('no worker asks it', async () => {
      const asked = await Promise.all(Array.from({ length: 20 }, () => bench.ask(service)));
      return asked.every(({ status }) => status === 503);
    });
    // While one request is the half-open one there is nobody for the others: their error says so, not that the instance failed.
    lost.mode = 'hanging';
    lost.forget();
    const answers: string[] = [];
    await until('a half-open request that hangs', async () => {
      const asked = await Promise.all([1, 2, 3, 4, 5].map(() => bench.ask(service)));
      answers.push(...asked.map(({ text }) => (JSON.parse(text) as { code: string }).code));
      return lost.requests.length > 0;
    });
    expect(lost.requests.length).toBe(1);
    expect(answers.filter((code) => code !== 'no_instance')).toEqual(['instance_timeout']);
    lost.forget();
    lost.mode = 'well';
    const post = async (): Promise<number> =>
      (await bench.ask(service, '/', { method: 'POST', body: 'x' })).status;
    expect(await untilValue('a half-open request', post, (status) => status !== 503)).toBe(200);
    await becomes(lost, 'healthy');
    expect(lost.requests.map(({ method }) => method)).toEqual(['POST']);
  });

  test('is over with the head of the answer: a stream does not keep its instance out until it ends', async () => {
    const [bad, good] = await fresh(2);
    const long = { ...QUICK, read_ms: 30_000 };
    await bench.serve(
      service,
      [peer(bad), peer(good)],
      set({ max_fails: 1, fail_timeout_ms: 500 }, { timeouts: long }),
    );
    await bad.refuse();
    await many(10);
    await becomes(bad, 'half_open');
    await bad.listen();
    bad.mode = 'streaming';
    bad.forget();
    const client = connect(Number(new URL(bench.gateway.url).port), '127.0.0.1');
    let ended = false;
    client.resume().once('close', () => (ended = true));
    const ask = (): boolean => client.write(`GET / HTTP/1.1\r\nHost: ${hostOf(service)}\r\n\r\n`);
    await until(
      'it has the stream',
      () => {
        // The other one may have it; then the next request on this connection comes after its answer.
        if (bad.requests.length === 0) ask();
        return bad.requests.length > 0;
      },
      { everyMs: 100 },
    );
    await becomes(bad, 'healthy', 10_000);
    expect([ended, bad.requests.length]).toEqual([false, 1]);
    client.destroy();
  });

  test('is still to come after a reload, which forgets no ejection', async () => {
    const [bad, good] = await fresh(2);
    await bench.serve(service, [peer(bad), peer(good)], set({ max_fails: 1, fail_timeout_ms: 3_000 }));
    await bad.refuse();
    await many(10);
    await becomes(bad, 'ejected');
    await bench.gateway.reload();
    expect((await many(50)).failed).toEqual([]);
    expect(await stateOf(bad)).toBe('ejected');
    await bad.listen();
    await becomes(bad, 'half_open');
    expect((await many(20)).failed).toEqual([]);
    await becomes(bad, 'healthy');
  });
});

describe('an instance that flaps', () => {
  test('is out for longer each time, and its failures stay rare', async () => {
    const [bad, good] = await fresh(2);
    await bench.serve(
      service,
      [peer(bad), peer(good)],
      set({ max_fails: 1, fail_timeout_ms: 500, fail_statuses: [500] }, { retry: { tries: 1 } }),
    );
    await using stream = traffic(300);
    const fits = (): readonly number[] =>
      [...readFileSync(bench.gateway.errorLog, 'utf8').matchAll(/: (\S+) is ejected for ([\d.]+) s: 1 fail/g)]
        .filter(([, id]) => id === bad.id)
        .map(([, , seconds]) => Number(seconds));
    for (let round = 1; round <= 3; round++) {
      bad.mode = 'failing';
      await until(`ejection ${round}`, () => fits().length === round);
      bad.mode = 'well';
      bad.forget();
      await until('it is back', () => bad.requests.length > 20, { timeoutMs: 20_000 });
    }
    await stream.stop();
    expect(fits()).toEqual([0.5, 1, 2]);
    expect([...stream.statuses.keys()].sort()).toEqual([200, 500]);
    // What was under way when it was ejected, once in each round.
    expect(stream.statuses.get(500)).toBeLessThanOrEqual(3 * 16);
    expect(stream.statuses.get(500)! / stream.total()).toBeLessThan(0.05);
  });
});

describe('panic', () => {
  test('when all fail: health is ignored, what the set forbids is not, and all come back', async () => {
    const [one, two, drained, isolated] = await fresh(4);
    const zero = await FaultyInstance.start(service);
    started.push(zero);
    const peers = [
      peer(one),
      peer(two),
      peer(drained, 100, { state: 'draining' }),
      peer(isolated, 100, { state: 'isolated', down: true }),
      peer(zero, 0),
    ];
    await bench.serve(service, peers, set({ fail_timeout_ms: 1_000, fail_statuses: [500] }));
    one.mode = two.mode = 'failing';
    await using stream = traffic();
    await until('panic', async () => (await reported()).panic?.includes(service));
    expect(await metric(`ebbgate_panic{service="${service}"} 1`)).toBe(true);
    one.forget();
    two.forget();
    await until('both are asked', () => one.requests.length > 20 && two.requests.length > 20);
    one.mode = two.mode = 'well';
    await becomes(one, 'healthy');
    await becomes(two, 'healthy');
    expect((await reported()).panic?.includes(service) ?? false).toBe(false);
    expect(await metric(`ebbgate_panic{service="${service}"} 0`)).toBe(true);
    await stream.stop();
    expect((await many(100)).failed).toEqual([]);
    expect([drained, isolated, zero].map((one) => one.requests.length)).toEqual([0, 0, 0]);
  });

  test('a suspect that fails is not brought back by it; without checks its own failures take it out', async () => {
    const [bad, good, lost] = await fresh(3);
    const peers = [peer(bad), peer(good), peer(lost, 100, { state: 'suspect' })];
    await bench.serve(service, peers, set({ max_fails: 1, fail_statuses: [500], max_ejected_percent: 0 }));
    bad.mode = lost.mode = 'failing';
    await many(40);
    await until('panic', async () => (await reported()).panic?.includes(service));
    // Each worker learns of it by itself.
    await until('every worker panics', async () => {
      bad.forget();
      lost.forget();
      await many(40);
      return bad.requests.length > 5;
    });
    expect(lost.requests.length).toBe(0);
  });
});

describe('backups', () => {
  test('serve only while no primary does, and come before panic', async () => {
    const [primary, spare] = await fresh(2);
    const peers = [peer(primary), peer(spare, 100, { backup: true })];
    await bench.serve(service, peers, set({ fail_timeout_ms: 1_500 }, { retry: { tries: 2 } }));
    expect((await many(50)).instances).toEqual(new Map([[primary.id, 50]]));
    await primary.refuse();
    await using stream = traffic();
    await until('the backup serves', () => spare.requests.length > 100);
    expect(await metric(`ebbgate_panic{service="${service}"} 0`)).toBe(true);
    await becomes(primary, 'ejected');
    await primary.listen();
    await becomes(primary, 'healthy');
    await unchangedFor(300, 'requests of the backup', () => spare.requests.length);
    spare.forget();
    await neverWithin(500, 'the backup gets a request', () => spare.requests.length > 0);
    await stream.stop();
    // Refused before the ejection, too: a retry may come to the backup.
    expect(stream.failed).toEqual([]);
  });
});

describe('zones', () => {
  test('the own one first; what it lacks spills over; none is left alone with its failures', async () => {
    const [here, there, yonder] = await fresh(3);
    const peers = (weight: number): ReturnType<typeof peer>[] => [
      peer(here, weight, { zone: 'here' }),
      peer(there, 100, { zone: 'there' }),
      peer(yonder, 100, { zone: 'yonder' }),
    ];
    const balancer = { algorithm: 'weighted_round_robin', prefer_zone: true } as const;
    const near = set({}, { balancer, retry: { tries: 2 } });
    await bench.serve(service, peers(100), near);
    expect((await many(100)).instances).toEqual(new Map([[here.id, 100]]));
    // 50 of 250 in three zones: 50 / (250 / 3) = 0.6 of the requests stay.
    await bench.serve(service, peers(50), near);
    const sent = await many(1_000);
    expect(sent.instances.get(here.id)! / 1_000).toBeCloseTo(0.6, 1);
    expect(sent.instances.get(there.id)! / 1_000).toBeCloseTo(0.2, 1);
    // A retry leaves the zone; so does everything once the zone is out.
    await bench.serve(service, peers(100), near);
    await here.refuse();
    const after = await many(200);
    expect(after.failed).toEqual([]);
    expect(after.instances.get(there.id)! + after.instances.get(yonder.id)!).toBe(200);
  });
});

describe('zones and cookies', () => {
  test('a client stays with its instance in another zone; new clients get the own one', async () => {
    const [here, there] = await fresh(2);
    const near = (zones: readonly [string, string]): Promise<unknown> => {
      const peers = [peer(here, 100, { zone: zones[0] }), peer(there, 100, { zone: zones[1] })];
      const balancer = {
        algorithm: 'least_connections',
        prefer_zone: true,
        sticky: { cookie: 'at', max_age_s: 0 },
      } as const;
      return bench.serve(service, peers, set({}, { balancer, retry: { tries: 2 } }));
    };
    const ask = async (cookie: string): Promise<{ readonly at: string; readonly given: string }> => {
      const answer = await bench.ask(service, '/', { headers: { cookie } });
      const at = answer.status === 200 ? (JSON.parse(answer.text) as { instance: string }).instance : '';
      return { at, given: /^at=[0-9a-f]{16}/.exec(String(answer.headers['set-cookie'] ?? ''))?.[0] ?? '' };
    };
    await near(['there', 'here']);
    const client = await ask('');
    expect(client.at).toBe(there.id);
    await near(['here', 'there']);
    for (let i = 0; i < 10; i++) {
      expect(await ask(client.given)).toEqual({ at: there.id, given: '' });
      expect((await ask('')).at).toBe(here.id);
    }
    // Out of use it keeps nobody, and no request fails.
    await there.refuse();
    expect(await ask(client.given)).toMatchObject({ at: here.id, given: expect.stringMatching(/^at=/) });
  });
});

describe('slow start', () => {
  test('ramps a new, an undrained and a recovered instance, but none that was there when the gateway began', async () => {
    const [old, late] = await fresh(2);
    const slow = set({ slow_start_ms: 2_500, max_fails: 1, fail_timeout_ms: 1_000, fail_statuses: [500] });
    await bench.serve(service, [peer(old)], slow);
    expect(await stateOf(old)).toBe('healthy');
    const share = async (): Promise<number> => {
      const sent = await many(100);
      return (sent.instances.get(late.id) ?? 0) / 100;
    };
    const ramps = async (): Promise<void> => {
      expect(await share()).toBeLessThan(0.3);
      await becomes(late, 'warming', 3_000);
      await becomes(late, 'healthy', 10_000);
      expect(await share()).toBeGreaterThan(0.4);
    };
    await bench.serve(service, [peer(old), peer(late)], slow);
    await ramps();
    await bench.serve(service, [peer(old), peer(late, 0, { state: 'draining' })], slow);
    await bench.serve(service, [peer(old), peer(late)], slow);
    await ramps();
    late.mode = 'failing';
    await many(10);
    await becomes(late, 'ejected');
    late.mode = 'well';
    await becomes(late, 'half_open');
    await many(10);
    await ramps();
    // Another set of the same instances, another worker: no ramp begins.
    await bench.serve(service, [peer(old), peer(late, 101)], slow);
    await bench.gateway.reload();
    expect(await share()).toBeGreaterThan(0.4);
    expect(await stateOf(late)).toBe('healthy');
  });
});

describe('a restart of all instances, one by one', () => {
  test('loses no GET', async () => {
    const fleet = await fresh(3);
    await bench.serve(
      service,
      fleet.slice(0, 3).map((one) => peer(one)),
      set({ max_fails: 1, fail_timeout_ms: 500 }, { retry: { tries: 2 } }),
    );
    // A worker that a reload ends closes kept connections, and a client may be about to use one.
    await until('no old worker is left', () => bench.gateway.workers().length === 2);
    await using stream = traffic(300);
    for (const one of fleet.slice(0, 3)) {
      await one.retire();
      await timePasses('it is restarted', 500);
      await one.listen();
      one.forget();
      await until('it serves again', () => one.requests.length > 20);
    }
    await stream.stop();
    expect(stream.failed).toEqual([]);
    expect(stream.total()).toBeGreaterThan(300);
  });
});
