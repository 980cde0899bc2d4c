// What `npm run check` and `npm test` run: each suite streams its output and says what it counted.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './deps.mjs';

/**
 * Runs a command in the repository's root. With `quiet` its output is held back and shown only if it fails, so
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
    async run() {
      const { ok, output } = await run(command, args, { quiet: true });
      if (!ok) process.stdout.write(`\n--- ${name} failed ---\n${output.trimEnd()}\n`);
      return { passed: ok ? 1 : 0, failed: ok ? 0 : 1 };
    },
  };
}

// Both caches go by content; typed lint has none that could be trusted.
const TYPES_CACHE = 'node_modules/.cache/types.tsbuildinfo';

/** Format, lint, types and luacheck; the import law is a vitest file and is counted there. */
export const CHECKS = [
  check('lint', bin('eslint'), ['--max-warnings', '0', '.']),
  check('types', bin('tsc'), ['--noEmit', '-p', '.', '--incremental', '--tsBuildInfoFile', TYPES_CACHE]),
  check('format', bin('prettier'), ['--check', '--cache', '--log-level', 'warn', '.']),
  check('luacheck', 'luacheck', ['-q', '--no-color', 'lua']),
];

/** A vitest suite; its counts come from vitest's JSON report. */
function vitest(name, args) {
  return {
    name,
    async run({ quiet = false } = {}) {
      const dir = mkdtempSync(join(tmpdir(), 'ebbgate-report-'));
      const report = join(dir, 'report.json');
      const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
      const { ok, output } = await run(bin('vitest'), ['run', ...args, ...reporters], { quiet });
      const counted = readVitest(report);
      rmSync(dir, { recursive: true, force: true });
      const failed = counted.failed > 0 || !ok;
      if (quiet && failed) process.stdout.write(`\n--- ${name} failed ---\n${output.trimEnd()}\n`);
      return { passed: counted.passed, failed: counted.failed || (ok ? 0 : 1) };
    },
  };
}

function readVitest(file) {
  if (!existsSync(file)) return { passed: 0, failed: 1 };
  const report = JSON.parse(readFileSync(file, 'utf8'));
  // A file that fails before its first test (an import, a beforeAll) has no failed test of its own.
  const broken = report.testResults.filter(
    (result) =>
      result.status === 'failed' && !result.assertionResults.some((test) => test.status === 'failed'),
  );
  return { passed: report.numPassedTests, failed: report.numFailedTests + broken.length };
}

export const PURE_TESTS = vitest('vitest, pure', [
  '--config',
  'control-plane/vitest.config.ts',
  '--project',
  'pure',
]);
export const CONTROL_PLANE_TESTS = vitest('vitest', ['--config', 'control-plane/vitest.config.ts']);
export const E2E_TESTS = vitest('e2e', ['--config', 'e2e/vitest.config.ts']);

/** The Lua specs under plain LuaJIT. */
export const BUSTED = {
  name: 'busted',
  async run({ quiet = false } = {}) {
    const args = ['--lua=luajit', '-p', '_spec', '-o', 'plainTerminal', 'lua/spec'];
    // By LUA_PATH, because busted passes its own -m through a shell that splits at the semicolon.
    const env = { LUA_PATH: 'lua/?.lua;lua/?/init.lua;;' };
    const { ok, output } = await run('busted', args, { quiet, env });
    const counted = /(\d+) success(?:es)? \/ (\d+) failures? \/ (\d+) errors?/.exec(output);
    const passed = Number(counted?.[1] ?? 0);
    const failed = counted ? Number(counted[2]) + Number(counted[3]) : 1;
    if (quiet && !ok) process.stdout.write(`\n--- busted failed ---\n${output.trimEnd()}\n`);
    return { passed, failed: failed || (ok ? 0 : 1) };
  },
};

/** Runs one suite, says how it went, and counts a suite without a single test as a failure. */
export async function runSuite(suite, options) {
  const started = performance.now();
  const { passed, failed } = await suite.run(options);
  const empty = passed + failed === 0;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const verdict = empty
    ? 'FAILED: it ran no test'
    : failed > 0
      ? `FAILED: ${failed}, passed: ${passed}`
      : `ok (${passed})`;
  console.log(`${suite.name.padEnd(14)} ${verdict}  ${seconds} s`);
  return { passed, failed: empty ? 1 : failed };
}

/** The sum over suites. */
export function total(results) {
  return {
    passed: results.reduce((sum, result) => sum + result.passed, 0),
    failed: results.reduce((sum, result) => sum + result.failed, 0),
  };
}
