import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../clock.js';
import { createApi, type Api } from '../api/server.js';
import { createRecordingLog } from '../testing/log.js';
import { MemoryPlane } from '../testing/memory_plane.js';
import { createRecordingTerminal } from '../testing/recording_terminal.js';
import { addApiCommands, createProgram, run } from './program.js';

let plane: MemoryPlane;
let api: Api;
let url: string;

beforeEach(async () => {
  plane = new MemoryPlane().add('shop', ['a', 'b']);
  api = createApi({
    ...{ plane, log: createRecordingLog(), token: null, clock: systemClock, version: '1' },
    ...{ listen: { host: '127.0.0.1', port: 0 }, randomId: () => 'req-1' },
    metrics: () => Promise.resolve(''),
  });
  await api.start();
  url = `http://127.0.0.1:${String(api.address().port)}`;
});
afterEach(() => api.close());

async function ebbgate(...words: readonly string[]) {
  const terminal = createRecordingTerminal({ env: { EBBGATE_API: url, EBBGATE_ACTOR: 'ann' } });
  const program = createProgram('9.9.9', terminal);
  addApiCommands(program, terminal);
  return { code: await run(program, words, terminal), err: terminal.stderr() };
}

it.each([
  [
    ['freeze', 'shop', '--reason', 'payday', '--expires', '2h'],
    { kind: 'freeze', service: 'shop' },
    7_200_000,
  ],
  [['unfreeze', 'shop'], { kind: 'unfreeze', service: 'shop' }, null],
  [['freeze', '--all', '--reason', 'payday'], { kind: 'freeze_all' }, null],
  [['unfreeze', '--all', '--reason', 'over'], { kind: 'unfreeze_all' }, null],
])('%j', async (words, mutation, expires_ms) => {
  expect(await ebbgate(...words)).toMatchObject({ code: 0, err: '' });
  expect(plane.mutated).toMatchObject([{ mutation, context: { by: 'ann', expires_ms } }]);
});

it.each([
  [['freeze', '--reason', 'payday']],
  [['freeze', 'shop', '--all', '--reason', 'payday']],
  [['freeze', 'shop']],
  [['unfreeze']],
])('%j is a usage error, and freezes nothing', async (words) => {
  expect((await ebbgate(...words)).code).toBe(2);
  expect(plane.mutated).toEqual([]);
});
