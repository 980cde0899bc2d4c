import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where requests go, and how many connections carry them. */
export interface Aim {
  readonly host: string;
  readonly ports: readonly number[];
  readonly seconds: number;
  /** Per port. */
  readonly connections: number;
}

/** An answer: when its request was due, by the system's monotonic clock, and how long after that it was there. */
export interface Timed {
  readonly atMs: number;
  readonly ms: number;
}

/** Keeps all connections of one port busy for `sliceMs`, then those of the next, and so on: port → requests answered. */
export async function burst(aim: Aim, sliceMs = 50): Promise<ReadonlyMap<number, number>> {
  const lines = await drive('burst', aim, sliceMs);
  return new Map(lines.map(([port = 0, requests = 0]) => [port, requests]));
}

/** Sends `rate` requests per second to every port, whether or not the ones before were answered: port → answers. */
export async function steady(aim: Aim, rate: number): Promise<ReadonlyMap<number, readonly Timed[]>> {
  const lines = await drive('steady', aim, rate);
  const answers = new Map<number, Timed[]>(aim.ports.map((port) => [port, []]));
  for (const [port = 0, due = 0, latency = 0] of lines)
    answers.get(port)?.push({ atMs: due / 1_000, ms: latency / 1_000 });
  return answers;
}

/** Throws if anything but a 200 came back. */
async function drive(mode: string, aim: Aim, pace: number): Promise<readonly (readonly number[])[]> {
  const numbers = [aim.seconds, aim.connections, pace, ...aim.ports].map(String);
  const program = join(import.meta.dirname, 'drive.lua');
  const { stdout } = await run('luajit', [program, mode, aim.host, ...numbers], {
    maxBuffer: 256 * 1024 * 1024,
  });
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/).map(Number));
}
