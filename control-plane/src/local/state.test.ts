import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { down } from './down.js';
import { lives, MARK, marked, recordOf, send, sweep, type ProcessRecord } from './processes.js';
import { claim, clearState, readState, writeState } from './state.js';
import { status } from './status.js';

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

const newDir = (): string => realpathSync(mkdtempSync(join(tmpdir(), 'ebbgate-state-')));
const record = (name: string, pid: number | undefined): ProcessRecord => {
  const found = recordOf(name, pid ?? 0);
  if (found === undefined) throw new Error(`${name} does not run`);
  return found;
};

function sleeper(env: NodeJS.ProcessEnv = {}, command = 'exec sleep 1000'): ChildProcess {
  const child = spawn('sh', ['-c', command], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, ...env },
  });
  started.push(child);
  return child;
}

test('a reused pid is another process', () => {
  const real = record('x', sleeper().pid);
  expect(lives(real)).toBe(true);
  expect(lives({ ...real, start: '1' })).toBe(false);
  expect(recordOf('x', 2 ** 22 + 1)).toBeUndefined();
});

test('a directory belongs to one living process at a time', async () => {
  const dir = newDir();
  const holder = sleeper();
  await claim(dir, holder.pid ?? 0, () => undefined);
  const second = claim(dir, process.pid, () => undefined);
  await expect(second).rejects.toThrow(new RegExp(`process ${String(holder.pid)}.*ebbgate down`));
  clearState(dir);
  expect((await claim(dir, process.pid, () => undefined)).supervisor.pid).toBe(process.pid);
  expect(readdirSync(dir)).toEqual(['state.json']); // no drafts are left
});

test('what a killed one left running is ended before the directory is taken over', async () => {
  const dir = newDir();
  const holder = sleeper();
  const state = await claim(dir, holder.pid ?? 0, () => undefined);
  const listed = sleeper();
  const listedRecord = record('listed', listed.pid);
  const unlisted = sleeper({ [MARK]: dir }, 'trap "" TERM; while :; do sleep 0.05; done');
  const stranger = sleeper({ [MARK]: `${dir}2` });
  const reused = { ...record('reused', stranger.pid), start: '1' };
  writeState(dir, { ...state, processes: [listedRecord, reused] });
  await expect.poll(() => marked(dir)).toContain(unlisted.pid);
  send(-(holder.pid ?? 0), 'SIGKILL');
  await expect.poll(() => lives(state.supervisor)).toBe(false);
  expect(await status(dir, undefined)).toMatchObject({ state: 'crashed', supervisor: null });
  let stale = 0;
  await claim(dir, process.pid, () => (stale += 1));
  expect(stale).toBe(1);
  expect(lives(listedRecord)).toBe(false);
  expect(marked(dir)).toEqual([]);
  expect(lives(record('stranger', stranger.pid))).toBe(true);
});

test('down stops a living one politely, cleans after a dead one, and knows when there is nothing', async () => {
  const dir = newDir();
  expect(await down(dir, process.pid)).toBe('nothing');
  const holder = sleeper();
  await claim(dir, holder.pid ?? 0, () => undefined);
  expect(await down(dir, process.pid)).toBe('stopped');
  expect(await down(dir, process.pid)).toBe('cleaned'); // this holder could not clear its state
  expect(readState(dir)).toBeUndefined();
});

test('a sweep ends whole groups', async () => {
  const dir = newDir();
  const leader = sleeper({ [MARK]: dir }, 'trap "exit 0" TERM; sleep 1000 & wait');
  const leading = record('leader', leader.pid);
  await expect.poll(() => marked(dir).length).toBeGreaterThan(1);
  await sweep(dir, [leading], []);
  expect(marked(dir)).toEqual([]);
  await expect.poll(() => send(-leading.pid, 0), { timeout: 10_000 }).toBe(false);
});
