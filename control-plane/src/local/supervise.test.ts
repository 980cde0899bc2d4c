import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { launch, type LocalProcess } from './process.js';
import { lives, send } from './processes.js';
import { supervise } from './supervise.js';

test('a server that ends by itself is started again, with what it left behind cleared; stop is final', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-supervise-'));
  const [mark, broken] = [join(dir, 'mark'), join(dir, 'broken')];
  const said: string[] = [];
  const start = (): Promise<LocalProcess> => {
    rmSync(mark, { force: true });
    return launch({
      name: 'server',
      command: 'sh',
      args: ['-c', `[ -e ${broken} ] && exit 3; sleep 1000 & touch ${mark}; wait`],
      logFile: join(dir, 'server.log'),
      ready: () => Promise.resolve(existsSync(mark)),
    });
  };
  const server = await supervise({
    name: 'server',
    start,
    clock,
    onChange: () => undefined,
    say: (line) => said.push(line),
  });
  const first = server.record();
  if (first === undefined) throw new Error('it does not run');
  writeFileSync(broken, '');
  send(first.pid, 'SIGKILL');
  await expect
    .poll(() => said.join('\n'), { timeout: 15_000 })
    .toMatch(/could not be started again.*exit code 3/s);
  // Its worker went too (and counts as there until it is reaped).
  await expect.poll(() => send(-first.pid, 0), { timeout: 10_000 }).toBe(false);
  rmSync(broken);
  await expect.poll(() => server.record()?.pid, { timeout: 15_000 }).toBeGreaterThan(0);
  const second = server.record();
  expect(second?.pid).not.toBe(first.pid);
  expect(said.at(0)).toMatch(/server ended by itself \(signal SIGKILL\), its log is .*server\.log/);
  await server.stop();
  await server.stop();
  expect(second && lives(second)).toBe(false);
  await expect.poll(() => second && send(-second.pid, 0), { timeout: 10_000 }).toBe(false);
});

test('a first start that fails rejects', async () => {
  const start = (): Promise<LocalProcess> => Promise.reject(new Error('no such port'));
  const failed = supervise({ name: 'server', start, clock, onChange: () => undefined, say: () => undefined });
  await expect(failed).rejects.toThrow('no such port');
});
