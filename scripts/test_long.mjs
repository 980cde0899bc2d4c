// `npm run test:long [-- histories]`: the long versions of all suites, or the random histories alone. The histories are
// summed up in docs/results/histories.md. EBBGATE_HISTORIES and EBBGATE_SEED choose how many and which. Alone they are
// played in three lanes, each on servers of its own: most of their time is waiting.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { readyDependencies, ROOT } from './deps.mjs';
import { readyMachine } from './machine.mjs';

const LANES = 3;
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-histories-'));
const report = join(dir, 'histories.jsonl');
const wanted = Number(process.env.EBBGATE_HISTORIES ?? 300);
const first = Number(process.env.EBBGATE_SEED ?? 1);

/** Runs a command with `count` histories from `seed` on; resolves with its exit code. */
function run(command, args, seed, count) {
  const env = {
    ...process.env,
    EBBGATE_LONG: '1',
    EBBGATE_HISTORIES: String(count),
    EBBGATE_SEED: String(seed),
    EBBGATE_HISTORIES_REPORT: report,
  };
  return new Promise((resolve) => {
    spawn(command, args, { cwd: ROOT, stdio: 'inherit', env }).once('close', (code) => resolve(code ?? 1));
  });
}

if (process.argv.includes('histories')) {
  await readyMachine({ tests: true });
  readyDependencies();
  const vitest = join(ROOT, 'node_modules/.bin/vitest');
  const share = Math.ceil(wanted / LANES);
  const lanes = Array.from({ length: LANES }, (_, lane) => ({
    seed: first + lane * share,
    count: Math.min(share, wanted - lane * share),
  }));
  const codes = await Promise.all(
    lanes
      .filter(({ count }) => count > 0)
      .map(({ seed, count }) =>
        run(vitest, ['run', '--config', 'e2e/vitest.config.ts', 'histories'], seed, count),
      ),
  );
  process.exitCode = Math.max(...codes);
} else {
  process.exitCode = await run(process.execPath, [join(ROOT, 'scripts/test.mjs'), '--long'], first, wanted);
}

if (existsSync(report))
  writeResults(
    readFileSync(report, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  );
rmSync(dir, { recursive: true, force: true });

function writeResults(histories) {
  const sum = (read) => histories.reduce((total, one) => total + read(one), 0);
  const steps = new Map();
  for (const kind of histories.flatMap((one) => one.steps)) steps.set(kind, (steps.get(kind) ?? 0) + 1);
  const broken = histories.filter((one) => one.broken.length > 0);
  const missing = wanted - histories.length;
  const seeds = histories.map(({ seed }) => seed);
  const whole = (number) => Math.round(number).toLocaleString('en');
  const lines = [
    '# Random histories',
    '',
    'Operations and faults drawn from a seed, under live traffic through two gateways; the instances themselves write down',
    'every request, and are asked afterwards. Broken is: a request that came to an instance after its drain was called drained,',
    'a drain called drained while a request was open, a request that failed. Unfinished is a history whose published set',
    'or whose operations did not end as the model says. Written by `npm run test:long`; a history is played again by',
    '`EBBGATE_SEED=N EBBGATE_HISTORIES=1 npx vitest run --config e2e/vitest.config.ts histories`.',
    '',
    '| what | count |',
    '| --- | --- |',
    `| date | ${new Date().toISOString().slice(0, 10)} |`,
    `| machine | ${cpus().length} cores, ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.versions.node} |`,
    `| seeds | ${Math.min(...seeds)} to ${Math.max(...seeds)} |`,
    `| histories | ${whole(histories.length)} |`,
    `| broken | ${whole(broken.length)} |`,
    `| unfinished | ${whole(missing)} |`,
    `| requests | ${whole(sum((one) => one.requests))} |`,
    `| drains proven | ${whole(sum((one) => one.confirmations))} |`,
    ...[...steps]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, count]) => `| steps: ${kind} | ${whole(count)} |`),
    `| minutes | ${(sum((one) => one.seconds) / 60).toFixed(1)} |`,
    '',
    ...broken.flatMap((one) => [`Seed ${one.seed}:`, '', ...one.broken.map((line) => `- ${line}`), '']),
  ];
  mkdirSync(join(ROOT, 'docs/results'), { recursive: true });
  const file = join(ROOT, 'docs/results/histories.md');
  writeFileSync(file, lines.join('\n'));
  spawnSync(join(ROOT, 'node_modules/.bin/prettier'), ['--write', '--log-level', 'warn', file], {
    cwd: ROOT,
  });
  console.log(`${whole(histories.length)} histories, ${broken.length} broken; see docs/results/histories.md`);
}
