import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect } from 'vitest';
import { createApi, type Api, type ApiOptions } from '../api/server.js';
import { addApiCommands, createProgram, run } from '../cli/program.js';
import { systemClock } from '../clock.js';
import { createRecordingLog } from './log.js';
import { MemoryPlane } from './memory_plane.js';
import { createRecordingTerminal } from './recording_terminal.js';

/*
 * `ebbgate …` through the real API, on a plane in memory: for the tests of its commands.
 */

/** The API of this test, and the plane behind it: a service `shop` of `a` and `b`. */
export const served = { plane: new MemoryPlane(), url: '' } as { plane: MemoryPlane; api: Api; url: string };

/** Gives each test of a file an API of its own. */
export function useApi(): void {
  beforeEach(async () => {
    served.plane = new MemoryPlane().add('shop', ['a', 'b']);
    served.api = listen();
    await served.api.start();
    served.url = `http://127.0.0.1:${String(served.api.address().port)}`;
  });
  afterEach(() => served.api.close());
}

/** An API of the present plane, not started. */
export function listen(port = 0, token: string | null = null, more: Partial<ApiOptions> = {}): Api {
  return createApi({
    plane: served.plane,
    log: createRecordingLog(),
    token,
    listen: { host: '127.0.0.1', port },
    clock: systemClock,
    version: '1',
    randomId: () => 'req-1',
    randomBytes,
    metrics: () => Promise.resolve(''),
    ...more,
  });
}

type Terminal = Parameters<typeof createRecordingTerminal>[0];

/** Starts `ebbgate` with these words, or with those of a line; the terminal is at hand at once, the exit code when it ends. */
export function start(words: string | readonly string[], parts: Terminal = {}) {
  const terminal = createRecordingTerminal({ ...parts, env: { EBBGATE_API: served.url, ...parts.env } });
  const program = createProgram('9.9.9', terminal);
  addApiCommands(program, terminal);
  const split = typeof words === 'string' ? words.split(' ') : words;
  return { terminal, code: run(program, split, terminal) };
}

/** Runs `ebbgate` to its end. */
export async function ebbgate(words: string | readonly string[], parts: Terminal = {}) {
  const { terminal, code } = start(words, parts);
  return { code: await code, out: terminal.stdout(), err: terminal.stderr() };
}

/** What the only mutation was. */
export function mutation() {
  expect(served.plane.mutated).toHaveLength(1);
  return served.plane.mutated[0]!;
}
