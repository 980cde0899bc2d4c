import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'vitest';
import { report, type Verdict } from './harness/results.js';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..');

/** Places in a row of bench/pick.lua. */
const [MIXED, EQUAL, BUSY, BUILD, MEMORY] = [4, 5, 6, 8, 9] as const;
const BOUNDED = 'consistent_hash, bound of 125 %';

function limitOf(algorithm: string): number {
  if (algorithm === BOUNDED) return 600;
  return algorithm === 'weighted_round_robin' ? 250 : 300;
}

test('cost of a pick', async () => {
  const { stdout } = await run('luajit', ['bench/pick.lua'], {
    cwd: ROOT,
    env: { ...process.env, LUA_PATH: 'lua/?.lua;lua/?/init.lua;;' },
  });
  const [, ...lines] = stdout.trim().split('\n');
  const rows = lines.map((line) => {
    const [algorithm = '', ...numbers] = line.split('\t');
    return [algorithm, ...numbers.map(Number)] as const;
  });
  const cell = (algorithm: string, place: number): number =>
    Number(rows.find(([name]) => name === algorithm)?.[place] ?? NaN);
  const picks = rows.map(([algorithm]): Verdict => ({
    what: `${algorithm}, 1,000 peers, the worse of mixed and equal weights`,
    measured: Math.max(cell(algorithm, MIXED), cell(algorithm, EQUAL)),
    limit: limitOf(algorithm),
    unit: 'ns',
  }));
  report('pick', {
    title: 'Cost of a pick',
    how:
      'Each picker alone, under the same LuaJIT (`bench/pick.lua`); best of five runs of a million picks, in nanoseconds. ' +
      '"Busy": 2,048 requests are open, and the cost of reporting each beginning and end to the picker is in it. ' +
      'The last two columns: building one for 1,000 peers of weight 100.',
    columns: [
      'algorithm',
      ...['3 peers', '10', '100', '1,000', '1,000 equal', '1,000 busy', '1,000 one tried'],
      ...['build, ms', 'memory, KiB'],
    ],
    rows,
    verdicts: [
      ...picks,
      {
        what: `${BOUNDED}, 1,000 peers, busy`,
        measured: cell(BOUNDED, BUSY),
        limit: 600,
        unit: 'ns',
      },
      { what: 'build of the hash', measured: cell(BOUNDED, BUILD), limit: 20, unit: 'ms' },
      { what: 'memory of the hash', measured: cell(BOUNDED, MEMORY), limit: 2048, unit: 'KiB' },
    ],
  });
});
