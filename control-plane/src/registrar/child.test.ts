import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { startChild, type Child } from './child.js';

const send = (pid: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
};
/** A folder that goes with its test. */
function scratch(): string {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-child-'));
  onTestFinished(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}
const never = new AbortController().signal;

function run(script: string): Child {
  return startChild('sh', ['-c', script], send, () => undefined, clock);
}

test.each([
  ['exit 0', 0],
  ['exit 42', 42],
  ['kill -TERM $$', 143],
  ['kill -KILL $$', 137],
])('%s gives %i', async (script, code) => {
  expect(await run(script).exited).toBe(code);
});

test('a command that is not there gives 127 and a sentence', async () => {
  const said: string[] = [];
  const child = startChild('/no/such/program', [], send, (message) => said.push(message), clock);
  expect(await child.exited).toBe(127);
  expect(await child.stop(1_000, never)).toBe(127);
  expect(said.join()).toContain('/no/such/program');
});

test('stop asks politely and passes the exit code on', async () => {
  const dir = scratch();
  const mark = join(dir, 'mark');
  const child = run(`trap 'exit 7' TERM; touch ${mark}; while :; do sleep 0.05; done`);
  await expect.poll(() => existsSync(mark)).toBe(true);
  expect(await child.stop(10_000, never)).toBe(7);
});

test('a command that will not go is killed after the grace, and at once when hastened', async () => {
  const stubborn = async (): Promise<Child> => {
    const mark = join(scratch(), 'mark');
    const child = run(`trap '' TERM; touch ${mark}; while :; do sleep 0.05; done`);
    await expect.poll(() => existsSync(mark)).toBe(true);
    return child;
  };
  expect(await (await stubborn()).stop(100, never)).toBe(137);
  expect(await (await stubborn()).stop(60_000, AbortSignal.timeout(100))).toBe(137);
});

test('what the command started is ended with it', async () => {
  const dir = scratch();
  const file = join(dir, 'pid');
  const child = run(`sleep 1000 & echo $! > ${file}; wait`);
  await expect.poll(() => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n')).toBe(true);
  const grandchild = Number(readFileSync(file, 'utf8'));
  expect(send(grandchild, 0)).toBe(true);
  await child.stop(5_000, never);
  await expect.poll(() => send(grandchild, 0), { timeout: 10_000 }).toBe(false);
});
