import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'vitest';
import { report } from './harness/results.js';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..');

test('cost of a pick', async () => {
  const { stdout } = await run('luajit', ['bench/pick.lua'], {
    cwd: ROOT,
    env: { ...process.env, LUA_PATH: 'lua/?.lua;lua/?/init.lua;;' },
  });
  const [, ...lines] = stdout.trim().split('\n');
  const rows = lines.map((line) => [...line.matchAll(/\d+/g)].map(([number]) => Number(number)));
  report('pick', {
    title: 'Cost of a pick',
    how: 'Smooth weighted round robin alone, under the same LuaJIT (`bench/pick.lua`); best of five runs of a million picks.',
    columns: ['peers', 'equal weights, ns', 'mixed weights, ns', 'one peer tried, ns'],
    rows,
    verdicts: [
      { what: '1,000 peers, mixed weights', measured: rows.at(-1)?.[2] ?? NaN, limit: 250, unit: 'ns' },
    ],
  });
});
