// What `npm run check` and `npm test` run: each suite says what it counted, and where its time went.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './deps.mjs';

/**
 * Runs a command in the repository's root. With `quiet` its output is kept back and shown only if it fails, so
 * that commands may run at the same time.
 * @returns {Promise<{ok: boolean, output: string}>}
 */
function run(command, args, { quiet = false, env = {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const take = (stream) => (chunk) => {
      output += chunk;
      if (!quiet) stream.write(chunk);
    };
    child.stdout.on('data', take(process.stdout));
    child.stderr.on('data', take(process.stderr));
    child.once('error', (error) => resolve({ ok: false, output: `${command}: ${error.message}` }));
    child.once('close', (code) => resolve({ ok: code === 0, output }));
  });
}

const bin = (name) => join(ROOT, 'node_modules/.bin', name);

/** A check counts as one. It never needs a server. */
function check(name, command, args) {
  return {
    name,
    async run(options = {}) {
      const { ok, output } = await run(command, args, { ...options, quiet: true });
      if (!ok) process.stdout.write(`\n--- ${name} failed ---\n${output.trimEnd()}\n`);
      return { passed: ok ? 1 : 0, failed: ok ? 0 : 1 };
    },
  };
}

// It goes by content; typed lint has no cache that could be trusted.
const TYPES_CACHE = 'node_modules/.cache/types.tsbuildinfo';
const TYPES = ['--noEmit', '-p', '.', '--checkers', '2', '--incremental', '--tsBuildInfoFile', TYPES_CACHE];

/** Laws, lint, types, luacheck and format, longest first; the import law is a vitest file and is counted there. */
export const CHECKS = [
  check('lint', bin('oxlint'), []),
  check('types', process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), ...TYPES]),
  check('dictionaries', process.execPath, [join(ROOT, 'scripts/no_object_dictionary.mjs')]),
  check('folder law', bin('oxlint'), ['-c', 'scripts/folder_law.config.mjs', 'control-plane/src']),
  check('tests law', bin('oxlint'), [
    '-c',
    'scripts/tests_law.config.mjs',
    'control-plane/src',
    'e2e',
    'bench',
  ]),
  check('luacheck', 'luacheck', ['-q', '--no-color', 'lua']),
  check('format', bin('oxfmt'), ['--check']),
];

/** A vitest suite; its counts come from vitest's JSON report. */
function vitest(name, args) {
  return {
    name,
    async run(options = {}) {
      const dir = mkdtempSync(join(tmpdir(), 'ebbgate-report-'));
      const [report, times] = [join(dir, 'report.json'), join(dir, 'times.jsonl')];
      const reporters = ['default', 'json', join(ROOT, 'scripts/file_times.mjs')];
      const reporting = [...reporters.map((one) => `--reporter=${one}`), `--outputFile.json=${report}`];
      const env = { EBBGATE_FILE_TIMES: times };
      const { ok, output } = await run(bin('vitest'), ['run', ...args, ...reporting], { ...options, env });
      const counted = readCounts(report);
      const files = readTimes(times);
      rmSync(dir, { recursive: true, force: true });
      const failed = counted.failed > 0 || !ok;
      if (options.quiet && failed) process.stdout.write(`\n--- ${name} failed ---\n${output.trimEnd()}\n`);
      return { passed: counted.passed, failed: counted.failed || (ok ? 0 : 1), files };
    },
  };
}

function readCounts(file) {
  if (!existsSync(file)) return { passed: 0, failed: 1 };
  const report = JSON.parse(readFileSync(file, 'utf8'));
  // A file that fails before its first test (an import, a beforeAll) has no failed test of its own.
  const broken = report.testResults.filter(
    (result) =>
      result.status === 'failed' && !result.assertionResults.some((test) => test.status === 'failed'),
  );
  return { passed: report.numPassedTests, failed: report.numFailedTests + broken.length };
}

function readTimes(file) {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line)).map(([name, seconds]) => ({ name, seconds }));
}

const CONTROL_PLANE = ['--config', 'control-plane/vitest.config.ts', '--project'];
export const PURE_TESTS = vitest('vitest, pure', [...CONTROL_PLANE, 'pure']);
export const SERVER_TESTS = vitest('vitest, server', [...CONTROL_PLANE, 'server']);
export const E2E_TESTS = vitest('e2e', ['--config', 'e2e/vitest.config.ts']);

/** The Lua specs under plain LuaJIT. */
export const BUSTED = {
  name: 'busted',
  async run(options = {}) {
    const args = ['--lua=luajit', '-p', '_spec', '-o', 'plainTerminal', 'lua/spec'];
    // By LUA_PATH, because busted passes its own -m through a shell that splits at the semicolon.
    const env = { LUA_PATH: 'lua/?.lua;lua/?/init.lua;;' };
    const { ok, output } = await run('busted', args, { ...options, env });
    const counted = /(\d+) success(?:es)? \/ (\d+) failures? \/ (\d+) errors?/.exec(output);
    const passed = Number(counted?.[1] ?? 0);
    const failed = counted ? Number(counted[2]) + Number(counted[3]) : 1;
    if (options.quiet && !ok) process.stdout.write(`\n--- busted failed ---\n${output.trimEnd()}\n`);
    return { passed, failed: failed || (ok ? 0 : 1) };
  },
};

/** Runs one suite, says how it went, and counts a suite without a single test as a failure. */
export async function runSuite(suite, options) {
  const started = performance.now();
  const { passed, failed, files = [] } = await suite.run(options);
  const empty = passed + failed === 0;
  const seconds = (performance.now() - started) / 1000;
  const verdict = empty
    ? 'FAILED: it ran no test'
    : failed > 0
      ? `FAILED: ${failed}, passed: ${passed}`
      : `ok (${passed})`;
  console.log(`${suite.name.padEnd(14)} ${verdict}  ${seconds.toFixed(1)} s`);
  return { name: suite.name, passed, failed: empty ? 1 : failed, seconds, files };
}

/** Runs each group's suites one after the other, all groups at once; resolves with every result. */
export async function runGroups(groups) {
  const results = [];
  const group = async ({ suites, options }) => {
    for (const suite of suites) results.push(await runSuite(suite, options));
  };
  await Promise.all(groups.map(group));
  return results;
}

/** Where the time went: a line per suite, and the slowest files. */
export function timeTable(results, slowest = 10) {
  const files = results.flatMap(({ name, files }) => files.map((file) => ({ ...file, suite: name })));
  const line = (cells) => [cells[0].padEnd(16), ...cells.slice(1).map((cell) => cell.padStart(8))].join('');
  return [
    line(['suite', 'tests', 'files', 'seconds']),
    ...results.map(({ name, passed, failed, files, seconds }) =>
      line([name, `${passed + failed}`, `${files.length || ''}`, seconds.toFixed(1)]),
    ),
    '',
    `the ${slowest} slowest files, in seconds`,
    ...files
      .sort((a, b) => b.seconds - a.seconds)
      .slice(0, slowest)
      .map(({ suite, name, seconds }) => `${seconds.toFixed(1).padStart(8)}  ${suite}: ${name}`),
  ].join('\n');
}

/** The sum over suites. */
export function total(results) {
  return {
    passed: results.reduce((sum, result) => sum + result.passed, 0),
    failed: results.reduce((sum, result) => sum + result.failed, 0),
  };
}
