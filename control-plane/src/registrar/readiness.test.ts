import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { answers2xx, watchReadiness } from './readiness.js';

/** Feeds `answers` one after the other and returns the turns; ends when they are used up. */
async function turns(answers: string): Promise<string> {
  const over = new AbortController();
  const reported: string[] = [];
  let asked = 0;
  await watchReadiness({
    clock,
    probe: () => {
      asked += 1;
      if (asked >= answers.length) over.abort();
      return Promise.resolve(answers[asked - 1] === '+');
    },
    rule: { everyMs: 0, failures: 3, successes: 2 },
    signal: over.signal,
    onTurn: (ready) => {
      reported.push(`${ready ? '+' : '-'}${String(asked)}`);
      return Promise.resolve();
    },
  });
  return reported.join(' ');
}

// The last answer ends the watch and is not checked.
test.each([
  ['-----.', ''],
  ['--+.', '+3'],
  ['+--+--+.', '+1'],
  ['+---.', '+1 -4'],
  ['+---+-+-.', '+1 -4'],
  ['+---++.', '+1 -4 +6'],
  ['+---++---.', '+1 -4 +6 -9'],
])('%s turns %s', async (answers, expected) => {
  expect(await turns(answers)).toBe(expected);
});

test('only 2xx is ready; silence and refusal are not', async () => {
  const server = createServer((request, response) => {
    const status = Number(request.url?.slice(1));
    if (status > 0) response.writeHead(status).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const { signal } = new AbortController();
  const answers = await Promise.all(
    [200, 204, 302, 404, 503].map((status) => answers2xx(`${url}/${String(status)}`, signal, clock)),
  );
  expect(answers).toEqual([true, true, false, false, false]);
  expect(await answers2xx(`${url}/0`, signal, clock, 100)).toBe(false);
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
  expect(await answers2xx(`${url}/200`, signal, clock)).toBe(false);
});
