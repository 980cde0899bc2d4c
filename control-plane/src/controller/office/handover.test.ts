import { beforeEach, expect, test } from 'vitest';
import { ok } from '../../model/result.js';
import { createFakeClock } from '../../testing/clock.js';
import { createRecordingLog } from '../../testing/log.js';
import { Handover } from './handover.js';

const MEMBER = { id: 'a', address: null, version: '1', started_at: '' };
let clock: ReturnType<typeof createFakeClock>;
let redis: 'connected' | 'connecting';
let mayWrite: boolean;
let members: number;
let resigned: number;
let handover: Handover;

beforeEach(() => {
  clock = createFakeClock();
  [redis, mayWrite, members, resigned] = ['connecting', true, 2, 0];
  handover = new Handover({
    leadership: {
      get mayWrite() {
        return mayWrite;
      },
    },
    election: {
      members: () => Promise.resolve(ok(Array.from({ length: members }, () => MEMBER))),
      resign: () => {
        resigned += 1;
      },
    },
    publisher: { state: () => ({ state: redis, since: 0, detail: '' }) },
    clock,
    log: createRecordingLog(),
  });
});

/** Looks twice a second, as passes do. */
async function lookFor(ms: number): Promise<void> {
  for (let past = 0; past < ms; past += 500) {
    await handover.look();
    await clock.advance(500);
  }
}

test('a leader without Redis gives its place up after five seconds, and then less and less often', async () => {
  await lookFor(4_500);
  expect(resigned).toBe(0);
  await lookFor(1_500);
  expect(resigned).toBe(1);
  // Nobody else can either: it leads again, and Redis is still away.
  await lookFor(13_000);
  expect(resigned).toBe(1);
  await lookFor(3_000);
  expect(resigned).toBe(2);
  await lookFor(26_000);
  expect(resigned).toBe(2);
  await lookFor(5_000);
  expect(resigned).toBe(3);
});

test.each([
  ['it is alone', () => (members = 1)],
  ['it does not lead', () => (mayWrite = false)],
  ['Redis is there', () => (redis = 'connected')],
])('nothing is given up where %s', async (_, set) => {
  set();
  await lookFor(60_000);
  expect(resigned).toBe(0);
});

test('a server that is back within five seconds changes nothing', async () => {
  for (let round = 0; round < 10; round += 1) {
    redis = 'connecting';
    await lookFor(4_500);
    redis = 'connected';
    await lookFor(1_000);
  }
  expect(resigned).toBe(0);
});
