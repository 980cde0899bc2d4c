import { randomBytes } from 'node:crypto';
import { request } from 'undici';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ReleaseEvent } from '../model/release.js';
import { createFakeClock, type FakeClock } from '../testing/clock.js';
import { createRecordingLog } from '../testing/log.js';
import { MemoryPlane } from '../testing/memory_plane.js';
import { makeRelease } from '../testing/memory_releases.js';
import { buildToken } from '../testing/tokens.js';
import { makeToken } from './auth/secret.js';
import { createApi, type Api } from './server.js';

const AT = '2026-05-01T12:00:00.000Z';
let plane: MemoryPlane;
let api: Api;
let clock: FakeClock;
let url: string;

beforeEach(async () => {
  plane = new MemoryPlane().add('shop', ['a', 'b']);
  plane.releases.map.set('rel-1', makeRelease());
  plane.releases.eventList = [event(1), event(2)];
  clock = createFakeClock();
  api = createApi({
    ...{ plane, log: createRecordingLog(), token: null, clock, version: '1' },
    ...{ listen: { host: '127.0.0.1', port: 0 }, randomId: () => 'req-1', randomBytes },
    metrics: () => Promise.resolve(''),
  });
  await api.start();
  url = `http://127.0.0.1:${String(api.address().port)}/v1/releases/rel-1/events`;
});
afterEach(() => close());

/** A client's pool may have connected without asking anything: such a connection is cut when the grace is over. */
async function close(): Promise<void> {
  const closed = api.close();
  await clock.advance(1_000);
  await closed;
}

function event(n: number): ReleaseEvent {
  return { n, at: AT, event: 'step_begun', by: 'controller', message: `step ${String(n)}` };
}

/** A stream that is being read: what came so far, as `id type`, and whether it is over. */
async function open(lastEventId?: string, token?: string) {
  const stop = new AbortController();
  const answer = await request(url, {
    headers: {
      accept: 'text/event-stream',
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    signal: stop.signal,
  });
  const read = { status: answer.statusCode, headers: answer.headers, text: '', over: false };
  void (async () => {
    try {
      for await (const chunk of answer.body) read.text += String(chunk);
    } catch {
      // its end is what counts
    }
    read.over = true;
  })();
  const came = (): string[] =>
    read.text
      .split('\n\n')
      .filter((block) => block.startsWith('event:'))
      .map((block) => `${/^id: (.*)$/m.exec(block)?.[1] ?? '-'} ${/^event: (.*)$/m.exec(block)?.[1] ?? ''}`);
  return {
    read,
    came,
    stop: () => {
      stop.abort();
    },
  };
}

/** What there is once the stream has looked again. */
function looked<T>(read: () => T): () => Promise<T> {
  return async () => {
    await clock.advance(1_000);
    return read();
  };
}

const ended = makeRelease({ state: 'succeeded', phase: null, ended_at: AT });

it('sends what was, then what comes, then ends with the release', async () => {
  const stream = await open();
  expect(stream.read.headers['content-type']).toContain('text/event-stream');
  await expect.poll(stream.came).toEqual(['1 event', '2 event', '- state']);
  // A look that finds only times gone on sends nothing.
  const times = { ...makeRelease().times, active_ms: 31_000 };
  plane.change(() => plane.releases.map.set('rel-1', makeRelease({ times })));
  await clock.advance(1_000);
  plane.change(() => {
    plane.releases.eventList = [event(1), event(2), event(3)];
    plane.releases.map.set('rel-1', makeRelease({ step: 2 }));
  });
  await expect.poll(looked(stream.came)).toEqual(['1 event', '2 event', '- state', '3 event', '- state']);
  plane.change(() => plane.releases.map.set('rel-1', ended));
  await expect.poll(looked(() => stream.read.over)).toBe(true);
  expect(stream.came().slice(5)).toEqual(['- state']);
  expect(stream.read.text).toContain('"state":"succeeded"');
});

it('goes on after the last event that a client had; one who has all of an ended release is asked to stop', async () => {
  const resumed = await open('1');
  await expect.poll(resumed.came).toEqual(['2 event', '- state']);
  resumed.stop();
  // Of another release, or no number at all: everything.
  for (const id of ['99', 'x']) {
    const other = await open(id);
    await expect.poll(other.came).toEqual(['1 event', '2 event', '- state']);
    other.stop();
  }
  plane.releases.map.set('rel-1', ended);
  expect((await open('2')).read.status).toBe(204);
  const late = await open('1');
  await expect.poll(() => late.read.over).toBe(true);
  expect(late.came()).toEqual(['2 event', '- state']);
});

it('JSON stays what it was for everybody else', async () => {
  for (const accept of ['application/json', '*/*', 'application/json, text/event-stream']) {
    const { body, headers } = await request(url, { headers: { accept } });
    expect(headers['content-type']).toContain('application/json');
    expect(await body.json()).toEqual({ items: [event(1), event(2)] });
  }
});

it('is let go when the client goes away, and ended when the API closes', async () => {
  const gone = await open();
  const stays = await open();
  await expect.poll(() => plane.waiting).toBe(2);
  gone.stop();
  await expect.poll(() => plane.waiting).toBe(1);
  await close();
  await expect.poll(() => stays.read.over).toBe(true);
  expect(plane.waiting).toBe(0);
});

it('only so many at a time', { timeout: 30_000 }, async () => {
  const open100 = await Promise.all(Array.from({ length: 100 }, () => open()));
  expect(new Set(open100.map(({ read }) => read.status))).toEqual(new Set([200]));
  const refused = await request(url, { headers: { accept: 'text/event-stream' } });
  expect(refused.statusCode).toBe(503);
  expect(await refused.body.json()).toMatchObject({ code: 'too_many_streams' });
  for (const one of open100) one.stop();
  await expect.poll(async () => (await open()).read.status, { timeout: 10_000 }).toBe(200);
});

it('ends within a second when the token that opened it is revoked, and goes on for others', async () => {
  const { text, id, verifier } = makeToken(randomBytes);
  plane.tokens.records.set('wall', buildToken({ name: 'wall', id, verifier }));
  const [{ read: of }, { read: other }] = [await open(undefined, text), await open()];
  await expect.poll(() => [of.text, other.text].map((one) => one.includes('id: 2'))).toEqual([true, true]);
  await clock.advance(1_000);
  expect(of.over).toBe(false);
  plane.tokens.records.delete('wall');
  await clock.advance(1_000);
  await expect.poll(() => of.over).toBe(true);
  expect(other.over).toBe(false);
});
