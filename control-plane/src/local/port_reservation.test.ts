import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { transformSync } from 'rolldown/utils';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { portRange, reservePlan, reservePort, type PortRange } from './port_reservation.js';

/** The allocator for plain Node, and a program that takes ports until it has enough, or there is none, and keeps them until it ends. */
const MODULES = ['local/port_reservation', 'local/ports', 'model/result'];
const PROGRAM = `
  import { reservePort } from './local/port_reservation.js';
  process.on('message', async ({ count, range }) => {
    const ports = [];
    try {
      while (ports.length < count) ports.push(await reservePort(range));
    } catch {} // none is left
    process.send(ports);
  });
  process.on('disconnect', () => process.exit());
`;

let dir: string;
const children: ChildProcess[] = [];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ebbgate-ports-'));
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  writeFileSync(join(dir, 'program.js'), PROGRAM);
  for (const name of MODULES) {
    const source = readFileSync(join(import.meta.dirname, '..', `${name}.ts`), 'utf8');
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, `${name}.js`), transformSync(`${name}.ts`, source).code);
  }
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

function start(): ChildProcess {
  const child = fork(join(dir, 'program.js'));
  children.push(child);
  return child;
}

async function take(child: ChildProcess, count: number, range: PortRange): Promise<readonly number[]> {
  child.send({ count, range });
  const [ports] = (await once(child, 'message')) as [number[]];
  return ports;
}

/** Below the ports that are given to anybody else; two runs of these tests at once hardly ever meet there. */
function someRange(size: number): PortRange {
  const from = 2_000 + Math.floor(Math.random() * (portRange().from - 2_000 - size));
  return { from, to: from + size };
}

test('two processes take all ports of a range at once, and never share one', async () => {
  const range = someRange(1_000);
  const [one, other] = [start(), start()];
  const [mine, yours] = await Promise.all([take(one, 1_000, range), take(other, 1_000, range)]);
  expect(mine.length).toBeGreaterThan(100);
  expect(yours.length).toBeGreaterThan(100);
  const taken = [...mine, ...yours];
  expect(new Set(taken).size).toBe(taken.length);
  expect(Math.min(...taken)).toBeGreaterThanOrEqual(range.from);
  expect(Math.max(...taken)).toBeLessThan(range.to);
});

test('the ports of a process that was killed are given again, those of one that lives are not', async () => {
  const range = someRange(20);
  const [dead, living] = [start(), start()];
  const [lost, kept] = [await take(dead, 10, range), await take(living, 20, range)];
  expect([lost.length, kept.length]).toEqual([10, 10]);
  await expect(reservePort(range)).rejects.toThrow(/^no port from \d+ to \d+ is free$/);
  dead.kill('SIGKILL');
  await once(dead, 'exit');
  expect([...(await take(start(), 20, range))].sort()).toEqual([...lost].sort());
});

test('a port on which somebody listens who asked nobody is passed over', async () => {
  const range = someRange(2);
  const stranger = createServer().listen(range.from, '127.0.0.1');
  await once(stranger, 'listening');
  expect(await reservePort(range)).toBe(range.from + 1);
  await expect(reservePort(range)).rejects.toThrow();
  stranger.close();
});

test('a plan is reserved as a whole, below the ports of outgoing connections', async () => {
  const plans = await Promise.all(Array.from({ length: 10 }, () => reservePlan(2, 10)));
  const ports = plans.flatMap(({ plan }) => Object.values(plan).flat() as number[]);
  expect(ports).toHaveLength(10 * 18);
  expect(new Set(ports).size).toBe(ports.length);
  expect(Math.max(...ports)).toBeLessThan(portRange().to);
});
