import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Edge, type Says } from './harness/edge.js';
import { answering, sayingOnce, whole, type Talk } from './harness/raw.js';

let edge: Edge;
beforeAll(async () => {
  edge = await Edge.start({ client_header_buffer: '4k' });
});
afterAll(async () => {
  await edge[Symbol.asyncDispose]();
});

const GET = 'GET / HTTP/1.1\r\nHost: HOST\r\n\r\n';
const LAST = 'GET /last HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n';

describe('what is right', () => {
  test.concurrent.each<[string, Talk, Says, readonly number[]]>([
    ['two requests in one packet', answering(whole()), GET + LAST, [200, 200]],
    ['HTTP/1.0', answering(whole()), 'GET / HTTP/1.0\r\nHost: HOST\r\n\r\n', [200]],
    [
      'an answer in pieces',
      sayingOnce('HTT', 'P/1.1 200 OK\r\nContent-', 'Length: 2\r\n\r\n', 'ok'),
      LAST,
      [200],
    ],
    ['an answer until the end', sayingOnce('HTTP/1.0 200 OK\r\n\r\n', 'until the end'), LAST, [200]],
  ])('%s', async (_what, instance, client, expected) => {
    const outcome = await edge.run({ instances: [instance], client });
    expect(outcome.statuses).toEqual(expected);
    const lines = await edge.settled(outcome, expected.length);
    expect(lines.map(({ status }) => status)).toEqual(expected);
    expect(await edge.sum('ebbgate_ejections_total', outcome.service)).toBe(0);
  });
});
