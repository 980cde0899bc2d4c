import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import { type LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';
import type { FleetReport, Heartbeat } from '../model/gateway.js';
import type { Clock } from '../model/ports.js';
import { localRedis } from '../testing/redis_address.js';
import { buildHeartbeat } from '../testing/builders.js';
import { createFakeClock, type FakeClock } from '../testing/clock.js';
import { feedbackContract } from '../testing/feedback.contract.js';
import { createRecordingLog, type RecordingLog } from '../testing/log.js';
import { startTcpProxy, type TcpProxy } from '../testing/tcp_proxy.js';
import { RedisLink } from './client.js';
import { createFeedback, type RedisFeedback } from './feedback.js';
import { CHANNELS, KEYS } from './keys.js';

/** Shows the time that a test sets; what waits for Redis waits in real time, as Redis does. */
const readByHand = ({ monotonic, wall }: FakeClock): Clock => ({ ...systemClock, monotonic, wall });

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-feedback-'));
let redis: LocalProcess;
let proxy: TcpProxy;
let cli: RedisLink;
let port: number;
let clock: FakeClock;
let log: RecordingLog;
let feedback: RedisFeedback | undefined;
let reports: FleetReport[];

beforeAll(async () => {
  port = await reservePort();
  redis = await launchRedis({ dir, port });
  cli = new RedisLink({
    address: localRedis(port),
    name: 'cli',
    log: createRecordingLog(),
    clock: systemClock,
    commandTimeoutMs: 10_000,
  });
  await cli.start();
  await eventually(() => {
    expect(cli.state().state).toBe('connected');
  });
});

afterAll(async () => {
  await cli.close();
  await redis.stop();
  rmSync(dir, { recursive: true });
});

beforeEach(async () => {
  await command('FLUSHALL');
  proxy = await startTcpProxy(port);
  clock = createFakeClock();
  log = createRecordingLog();
});

afterEach(async () => {
  await feedback?.close();
  await proxy.close();
});

async function eventually(check: () => void | Promise<void>): Promise<void> {
  await vi.waitFor(check, { timeout: 20_000, interval: 5 });
}

async function command(name: string, ...words: readonly string[]): Promise<unknown> {
  const answer = await cli.run(name, ...words);
  if (!answer.ok) throw new Error(answer.error);
  return answer.value;
}

/** A poll of an hour leaves a test alone with the hints. */
async function listen(pollMs: number): Promise<void> {
  reports = [];
  feedback = createFeedback({
    url: `redis://127.0.0.1:${proxy.port}`,
    log,
    clock: readByHand(clock),
    pollMs,
  });
  feedback.onReport((report) => reports.push(report));
  await feedback.start();
  await eventually(() => {
    expect(feedback!.state().state).toBe('connected');
  });
}

const NEVER = 3_600_000;

feedbackContract('Redis', async () => {
  const door = await startTcpProxy(port);
  const own = createFakeClock();
  return {
    clock: own,
    feedback: () =>
      createFeedback({
        ...{ url: `redis://127.0.0.1:${String(door.port)}`, log, pollMs: 20 },
        clock: readByHand(own),
      }),
    connect: (mode) => {
      door.setMode(mode === 'away' ? 'cut' : 'pass');
    },
    beat: async (heartbeat) => {
      await command('SET', KEYS.stats(heartbeat.id), '{}');
      await beat(heartbeat);
    },
    list: (id, at) => command('ZADD', KEYS.gateways, String(at), id),
    damage: (id) => write(id, '{'),
    expire: async (id) => {
      await command('DEL', KEYS.heartbeat(id));
      await command('ZREM', KEYS.gateways, id);
    },
    has: async (id) =>
      (await command('EXISTS', KEYS.heartbeat(id), KEYS.stats(id))) !== 0 ||
      (await command('ZSCORE', KEYS.gateways, id)) !== null,
    close: () => door.close(),
  };
});

/** What a gateway does at each beat. */
async function beat(heartbeat: Heartbeat, hint: 'hint' | 'silent' = 'hint'): Promise<void> {
  await write(heartbeat.id, JSON.stringify(heartbeat));
  await command('ZADD', KEYS.gateways, String(heartbeat.started), heartbeat.id);
  if (hint === 'hint') await command('PUBLISH', CHANNELS.report, heartbeat.id);
}

const write = (id: string, text: string): Promise<unknown> =>
  command('SET', KEYS.heartbeat(id), text, 'PX', '15000');
const latest = (): FleetReport['heard'] => reports.at(-1)!.heard;
const seqs = (): Record<string, number> =>
  Object.fromEntries([...latest()].map(([id, { heartbeat }]) => [id, heartbeat.seq]));

test('a hint is followed within 100 ms, and the time of the change is kept', async () => {
  await listen(NEVER);
  await clock.advance(1_000);
  await beat(buildHeartbeat({ seq: 1 }));
  await eventually(() => {
    expect(seqs()).toEqual({ 'gw-1': 1 });
  });
  await clock.advance(500);
  const delays: number[] = [];
  for (let seq = 2; seq <= 6; seq += 1) {
    const started = performance.now();
    await beat(buildHeartbeat({ seq }));
    await eventually(() => {
      expect(seqs()).toEqual({ 'gw-1': seq });
    });
    delays.push(performance.now() - started);
  }
  expect(Math.min(...delays)).toBeLessThan(100); // the best of five: the machine may be busy, a poll would take longer
  expect(latest().get('gw-1')).toEqual({ heartbeat: buildHeartbeat({ seq: 6 }), changed_at: 1_500 });
});

test('without hints the poll finds every gateway', async () => {
  await listen(1_000);
  const started = performance.now();
  for (let number = 1; number <= 250; number += 1)
    await beat(buildHeartbeat({ id: `gw-${number}` }), 'silent');
  await eventually(() => {
    expect(latest().size).toBe(250);
  });
  expect(performance.now() - started).toBeLessThan(5_000);
});

test('a malformed heartbeat is as if it were not there, and is logged once per change', async () => {
  await listen(20);
  await beat(buildHeartbeat({ id: 'good' }));
  await beat(buildHeartbeat({ id: 'bad', seq: 1 }));
  await eventually(() => {
    expect(seqs()).toEqual({ good: 1, bad: 1 });
  });
  await clock.advance(1_000);
  await command('ZADD', KEYS.gateways, '1', 'no such name', '1', 'never-good');
  await write('never-good', 'x');
  await write('bad', '{"v":1}');
  const complaints = (): unknown[] =>
    log.lines
      .filter(({ message }) => message.startsWith('heartbeat'))
      .map(({ level, fields }) => ({ level, ...fields }));
  await eventually(() => {
    expect(complaints()).toHaveLength(2);
  });
  for (let seq = 2; seq <= 5; seq += 1) {
    await beat(buildHeartbeat({ id: 'good', seq }));
    await eventually(() => {
      expect(seqs()).toEqual({ good: seq, bad: 1 });
    });
  }
  expect(complaints()).toHaveLength(2);
  expect(await command('ZSCORE', KEYS.gateways, 'no such name')).toBeNull();
  expect(complaints()).toContainEqual({ level: 'warn', gateway: 'never-good', complaint: 'is not JSON' });
  expect(latest().get('bad')!.changed_at).toBe(0);
  await beat(buildHeartbeat({ id: 'bad', seq: 2 }));
  await eventually(() => {
    expect(seqs()).toEqual({ good: 5, bad: 2 });
  });
  expect(complaints()).toHaveLength(3);
});

test('hints for names that no gateway can have are dropped, and a flood is coalesced', async () => {
  await listen(NEVER);
  await beat(buildHeartbeat({ id: 'gw-1', seq: 1 }), 'silent');
  await command('PUBLISH', CHANNELS.report, '../gw');
  await command('PUBLISH', CHANNELS.report, '');
  const before = Number(
    /cmdstat_getrange:calls=(\d+)/.exec(String(await command('INFO', 'commandstats')))?.[1] ?? 0,
  );
  await Promise.all(Array.from({ length: 2_000 }, () => command('PUBLISH', CHANNELS.report, 'gw-1')));
  await eventually(() => {
    expect(seqs()).toEqual({ 'gw-1': 1 });
  });
  await beat(buildHeartbeat({ id: 'gw-1', seq: 2 })); // the last hint is behind all others
  await eventually(() => {
    expect(seqs()).toEqual({ 'gw-1': 2 });
  });
  const after = Number(
    /cmdstat_getrange:calls=(\d+)/.exec(String(await command('INFO', 'commandstats')))![1],
  );
  expect(after - before).toBeLessThan(1_000);
});

test('what was missed while Redis was away is read when it returns, before any poll', async () => {
  await listen(NEVER);
  await beat(buildHeartbeat({ seq: 1 }));
  await eventually(() => {
    expect(seqs()).toEqual({ 'gw-1': 1 });
  });
  proxy.setMode('cut');
  await eventually(() => {
    expect(feedback!.state().state).toBe('connecting');
  });
  await beat(buildHeartbeat({ seq: 2 }));
  proxy.setMode('pass');
  await eventually(() => {
    expect(seqs()).toEqual({ 'gw-1': 2 });
  });
});

describe('whoever may write the list of gateways', () => {
  const shown = (): number => reports.at(-1)!.listed.size;

  test('fills neither memory nor Redis with names, whatever their scores, and hides nobody who beats', async () => {
    const scores = ['inf', '-inf', '1e300', '0', '1700000000'];
    const names = Array.from({ length: 25_000 }, (_, n) => [scores[n % 5]!, `name-${String(n)}`]);
    for (let start = 0; start < names.length; start += 5_000)
      await command('ZADD', KEYS.gateways, ...names.slice(start, start + 5_000).flat());
    await command('ZADD', KEYS.gateways, '5', 'x'.repeat(70_000));
    await beat(buildHeartbeat({ id: 'real', seq: 1, started: 1_700_000_000 }), 'silent');
    await listen(20);
    await eventually(async () => {
      expect(seqs()).toEqual({ real: 1 });
      expect(Number(await command('ZCARD', KEYS.gateways))).toBeLessThanOrEqual(101);
      expect(reports.at(-1)).toMatchObject({ complete: true, listed_more: 0 });
    });
    expect(shown()).toBe(100);
    for (const at of reports.at(-1)!.listed.values()) expect(Number.isSafeInteger(at)).toBe(true);
    // The first complete report has read every name, so nobody who beats is missing in it.
    expect(reports.find(({ complete }) => complete)!.heard.has('real')).toBe(true);
    expect(await feedback!.forgetNeverHeard()).toEqual({ ok: true, value: 100 });
    expect(shown()).toBe(0);
    await eventually(async () => {
      expect(await command('ZRANGE', KEYS.gateways, '0', '-1')).toEqual(['real']);
    });
  });

  test('gains nothing by a list or a heartbeat of another type', async () => {
    await command('SET', KEYS.gateways, 'no list');
    await command('ZADD', KEYS.heartbeat('odd'), '1', 'x');
    await listen(20);
    await eventually(async () => {
      expect(await command('EXISTS', KEYS.gateways)).toBe(0);
    });
    await command('ZADD', KEYS.gateways, '1', 'odd');
    await beat(buildHeartbeat({ id: 'real', seq: 1 }), 'silent');
    await eventually(() => {
      expect(seqs()).toEqual({ real: 1 });
      expect(reports.at(-1)!.complete).toBe(true);
      expect([...reports.at(-1)!.listed.keys()]).toEqual(['odd']);
    });
    expect(log.lines).toContainEqual(
      expect.objectContaining({ fields: { gateway: 'odd', complaint: 'is no text' } }),
    );
  });

  test('makes the controller read no more of a value than a heartbeat may have', async () => {
    await command('SETRANGE', KEYS.heartbeat('huge'), '400000000', 'x');
    await command('ZADD', KEYS.gateways, '1', 'huge');
    await beat(buildHeartbeat({ id: 'real', seq: 1 }), 'silent');
    await listen(20);
    await eventually(() => {
      expect(seqs()).toEqual({ real: 1 });
      expect([...reports.at(-1)!.listed.keys()]).toEqual(['huge']);
    });
    const sent = /total_net_output_bytes:(\d+)/.exec(String(await command('INFO', 'stats')))![1];
    await command('DEL', KEYS.heartbeat('huge'));
    expect(Number(sent)).toBeLessThan(300_000_000);
  });

  test('with forged heartbeats: a bounded number is heard, and it is reported that there are more', async () => {
    const beats = Array.from({ length: 2_100 }, (_, n) => buildHeartbeat({ id: `forged-${String(n)}` }));
    for (let start = 0; start < beats.length; start += 300) {
      const some = beats.slice(start, start + 300);
      await command('MSET', ...some.flatMap((one) => [KEYS.heartbeat(one.id), JSON.stringify(one)]));
      await command('ZADD', KEYS.gateways, ...some.flatMap((one) => ['1', one.id]));
    }
    await listen(20);
    await eventually(() => {
      expect(latest().size).toBe(2_000);
      expect(reports.at(-1)!.turned_away).toBe(100);
    });
    await command('DEL', ...beats.map((one) => KEYS.heartbeat(one.id)));
    await eventually(() => {
      expect(reports.at(-1)!.turned_away).toBe(0);
    });
    await feedback!.forget('forged-0');
    await beat(buildHeartbeat({ id: 'real', seq: 1 }));
    await eventually(() => {
      expect(latest().has('real')).toBe(true);
    });
  });
});
