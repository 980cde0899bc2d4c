// `npm run bench [-- name …]`: runs bench/*.bench.ts one after the other, because numbers taken side by side disturb
// each other. A run of all of them writes docs/benchmarks.md; a number that is missed is shown, and is no failure.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchPage } from './bench_page.mjs';
import { readyDependencies, ROOT } from './deps.mjs';
import { readyMachine } from './machine.mjs';

/** The order of the page. */
const NAMES = [
  'cpu',
  'algorithms',
  'limits',
  'api_keys',
  'latency',
  'pick',
  'route',
  'change',
  'control',
  'fleet',
  'failover',
  'stall',
  'memory',
  'releases',
  'hundred_releases',
  'registrations',
];
/** What a benchmark reports besides. */
const MORE = { api_keys: ['api_keys_cpu'] };
/** Printed only. */
const ALL = [...NAMES, 'controller_pass', 'checks'];
const PAGE = 'docs/benchmarks.md';

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !ALL.includes(name));
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}; there are ${ALL.join(', ')}.`);
  process.exit(2);
}
await readyMachine({ tests: true, bench: true });
readyDependencies();
const results = mkdtempSync(join(tmpdir(), 'ebbgate-bench-'));
const vitest = join(ROOT, 'node_modules/.bin/vitest');
const busyBefore = loadavg()[0];
const failed = ALL.filter((name) => wanted.length === 0 || wanted.includes(name)).filter((name) => {
  console.log(`\n=== ${name} ===`);
  const args = ['run', '--config', 'bench/vitest.config.ts', '--silent=false', `${name}.bench`];
  const env = { ...process.env, EBBGATE_BENCH_RESULTS: results };
  return spawnSync(vitest, args, { cwd: ROOT, stdio: 'inherit', env, timeout: 600_000 }).status !== 0;
});
if (failed.length === 0 && wanted.length === 0) {
  const reported = NAMES.flatMap((name) => [name, ...(MORE[name] ?? [])]);
  const found = reported.map((name) => JSON.parse(readFileSync(join(results, `${name}.json`), 'utf8')));
  writeFileSync(join(ROOT, PAGE), benchPage(found, { busyBefore }));
  spawnSync(join(ROOT, 'node_modules/.bin/oxfmt'), [PAGE], { cwd: ROOT, stdio: 'ignore' });
  const missed = found.flatMap(({ verdicts }) =>
    verdicts.filter(({ measured, limit }) => !(measured <= limit)),
  );
  for (const { what, measured, limit, unit } of missed)
    console.log(`missed: ${what}: ${measured} ${unit}, at most ${limit} ${unit}`);
  console.log(
    `\n${PAGE} is written; ${missed.length === 0 ? 'every number is met' : `${missed.length} missed`}.`,
  );
}
rmSync(results, { recursive: true, force: true });
if (failed.length > 0) console.error(`\nfailed: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
