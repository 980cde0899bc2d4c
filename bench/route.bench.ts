import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'vitest';
import { report } from './harness/results.js';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..');

test('cost of finding a route', async () => {
  const { stdout } = await run('luajit', ['bench/route.lua'], {
    cwd: ROOT,
    env: { ...process.env, LUA_PATH: 'lua/?.lua;lua/?/init.lua;;' },
  });
  const [, ...lines] = stdout.trim().split('\n');
  const rows = lines.map((line) => {
    const [routes = '', ...numbers] = line.split('\t');
    return [routes, ...numbers.map(Number)] as const;
  });
  report('route', {
    title: 'Cost of finding a route',
    how:
      'The router alone, under the same LuaJIT (`bench/route.lua`); best of five runs of a million look-ups of 4,096 different ' +
      'requests, in nanoseconds.',
    columns: ['routes', '100', '10,000'],
    rows,
    verdicts: rows.map(([routes, , many = NaN]) => ({
      what: `10,000 routes: ${routes}`,
      measured: many,
      limit: 2_000,
      unit: 'ns',
    })),
  });
});
