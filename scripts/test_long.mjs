// `npm run test:long [-- histories | soak | controllers | cleanup]`: the long versions of all suites, or one kind alone. What they found is in
// docs/results. EBBGATE_HISTORIES and EBBGATE_SEED choose how many histories and which, EBBGATE_SOAK_SECONDS how long the
// soak takes. Histories alone are played in three groups at once, each on servers of its own: most of their time is waiting.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readyDependencies, ROOT } from './deps.mjs';
import { historyGroups, readReport } from './history_groups.mjs';
import { readyMachine } from './machine.mjs';
import { whole, writeResults } from './results.mjs';

const GROUPS = 3;
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-long-'));
const histories = join(dir, 'histories.jsonl');
const soak = join(dir, 'soak.json');
const controllers = join(dir, 'controllers.jsonl');
const wanted = Number(process.env.EBBGATE_HISTORIES ?? 300);
const first = Number(process.env.EBBGATE_SEED ?? 1);
const [kind = 'all'] = process.argv.slice(2);

/** Runs a command with `count` histories from `seed` on; resolves with its exit code. */
function run(command, args, seed = first, count = wanted) {
  const env = {
    ...process.env,
    EBBGATE_LONG: '1',
    EBBGATE_HISTORIES: String(count),
    EBBGATE_SEED: String(seed),
    EBBGATE_HISTORIES_REPORT: histories,
    EBBGATE_SOAK_REPORT: soak,
    EBBGATE_CONTROLLERS_REPORT: controllers,
  };
  return new Promise((resolve) => {
    spawn(command, args, { cwd: ROOT, stdio: 'inherit', env }).once('close', (code) => resolve(code ?? 1));
  });
}

/** Runs one file of e2e. */
async function scenario(name, seed, count) {
  const vitest = join(ROOT, 'node_modules/.bin/vitest');
  return run(vitest, ['run', '--config', 'e2e/vitest.config.ts', name], seed, count);
}

/** Plays a group of histories; once more if its servers did not come up. */
async function playGroup(group) {
  const play = () => scenario('histories', group.seed, group.count);
  const code = await play();
  return readReport(reported(), [group]).notStarted > 0 ? play() : code;
}

function reported() {
  return existsSync(histories) ? readFileSync(histories, 'utf8') : '';
}

if (!['all', 'histories', 'soak', 'controllers', 'cleanup'].includes(kind)) {
  console.error(
    `There is no long test ${kind}; there are histories, soak, controllers and cleanup, and all without a name.`,
  );
  process.exit(2);
}
const groups = historyGroups(first, wanted, kind === 'all' ? 1 : GROUPS);
if (kind === 'all')
  process.exitCode = await run(process.execPath, [join(ROOT, 'scripts/test.mjs'), '--long']);
else {
  await readyMachine({ tests: true });
  readyDependencies();
  const runs = kind === 'histories' ? groups.map(playGroup) : [scenario(kind)];
  process.exitCode = Math.max(...(await Promise.all(runs)));
}
if (existsSync(histories)) writeHistories(readReport(reported(), groups));
if (existsSync(soak)) writeSoak(JSON.parse(readFileSync(soak, 'utf8')));
if (existsSync(controllers))
  writeControllers(
    readFileSync(controllers, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  );
rmSync(dir, { recursive: true, force: true });

function writeHistories({ played, unfinished, notStarted }) {
  const sum = (read) => played.reduce((total, one) => total + read(one), 0);
  const steps = new Map();
  for (const step of played.flatMap((one) => one.steps)) steps.set(step, (steps.get(step) ?? 0) + 1);
  const broken = played.filter((one) => one.broken.length > 0);
  const seeds = groups.flatMap(({ seed, count }) => [seed, seed + count - 1]);
  writeResults('histories', {
    title: 'Random histories',
    intro: [
      'Operations and faults drawn from a seed, under live traffic through two gateways; the instances themselves write down',
      'every request, and are asked afterwards. Broken is: a request that came to an instance after its drain was called drained,',
      'a drain called drained while a request was open, a request that failed. Unfinished is a history whose published set',
      'or whose operations did not end as the model says. Written by `npm run test:long`; a history is played again by',
      '`EBBGATE_SEED=N EBBGATE_HISTORIES=1 npx vitest run --config e2e/vitest.config.ts histories`.',
    ],
    rows: [
      ['seeds', `${Math.min(...seeds)} to ${Math.max(...seeds)}`],
      ['histories', whole(played.length)],
      ['broken', whole(broken.length)],
      ['unfinished', whole(unfinished)],
      ...(notStarted > 0 ? [['not started, because their servers did not come up', whole(notStarted)]] : []),
      ['requests', whole(sum((one) => one.requests))],
      ['drains proven', whole(sum((one) => one.confirmations))],
      ...[...steps]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([step, count]) => [`steps: ${step}`, whole(count)]),
      ['minutes', (sum((one) => one.seconds) / 60).toFixed(1)],
    ],
    after: broken.flatMap((one) => [`Seed ${one.seed}:`, '', ...one.broken.map((line) => `- ${line}`), '']),
  });
  console.log(`${whole(played.length)} histories, ${broken.length} broken; see docs/results/histories.md`);
}

function writeSoak(found) {
  writeResults('soak', {
    title: 'Soak',
    intro: [
      'Traffic through two gateways of two workers each while an instance changes every 100 ms: registered weights, weights',
      'set by an operator, drains taken back, instances that join, leave, and are drained for good. Memory is what belongs to the',
      'four workers alone (`Pss_Anon` in `/proc/PID/smaps_rollup`): its mean over the third quarter, and over the last.',
      'Written by `npm run test:long -- soak`.',
    ],
    rows: [
      ['seconds', whole(found.seconds)],
      ['changes', whole(found.changes)],
      ['changes passed over, because the one before was still on its way', whole(found.late)],
      ['requests', whole(found.requests)],
      ['failed', whole(found.failed)],
      ['memory, third quarter, MiB', found.half.toFixed(1)],
      ['memory, last quarter, MiB', found.end.toFixed(1)],
    ],
  });
  console.log(`soak: ${whole(found.requests)} requests, ${found.failed} failed; see docs/results/soak.md`);
}

/** `rounds`: how the leader was broken, the milliseconds until another one was ready (null where none had to), changes, failed requests. */
function writeControllers(rounds) {
  const kinds = [...new Set(rounds.map(({ how }) => how))];
  const rows = kinds.flatMap((how) => {
    const took = rounds
      .flatMap((one) => (one.how === how && one.ms !== null ? [one.ms] : []))
      .sort((a, b) => a - b);
    const at = (share) => (took[Math.ceil(took.length * share) - 1] / 1000).toFixed(2);
    const spread =
      took.length === 0
        ? ''
        : `: another one ready after ${at(0.5)} s (half), ${at(0.99)} s (99 %), ${at(1)} s (all)`;
    return [[`leader ${how}${spread}`, `${rounds.filter((one) => one.how === how).length} rounds`]];
  });
  writeResults('controllers', {
    title: 'Leaders that go',
    intro: [
      'Two controllers with ZooKeeper sessions of 1 s, traffic through two gateways, and eight clients that change a weight all the time at',
      'whichever controller answers. Each round breaks the leader; afterwards every change that was answered has exactly one record in the',
      'audit, there is no record besides, and the last weights are published. A round in which that does not hold, or with a failed',
      'request, ends the run. Written by `npm run test:long -- controllers`.',
    ],
    rows: [
      ['rounds', whole(rounds.length)],
      [
        'changes that were answered, each in force once',
        whole(rounds.reduce((sum, one) => sum + one.changes, 0)),
      ],
      ...rows,
    ],
  });
  console.log(`${whole(rounds.length)} leaders went; see docs/results/controllers.md`);
}
