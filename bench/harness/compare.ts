import { setTimeout as pause } from 'node:timers/promises';
import { cpuTime } from './cpu_time.js';
import { burst, type Aim } from './drive.js';
import type { Subject } from './lab.js';

export const ROUNDS = 15;
export const SLICE_MS = 200;

/** How long nobody asks, to see what a proxy does by itself. */
const IDLE_MS = 3_000;

/**
 * Microseconds per request of each subject, one for every round. What a proxy does by itself (timers, heartbeats) is
 * measured while nobody asks, and counts for its own turns alone: in those of the others it would count several times.
 */
export async function compareCpu(
  subjects: readonly Subject[],
  host: string,
): Promise<ReadonlyMap<string, number[]>> {
  const costs = new Map<string, number[]>(subjects.map(({ name }) => [name, []]));
  const lap = (subjects.length * SLICE_MS) / 1_000;
  const aim: Aim = { host, ports: subjects.map(({ port }) => port), connections: 16, seconds: lap };
  await burst({ ...aim, seconds: lap * 4 }, SLICE_MS); // LuaJIT compiles what it sees often
  const idle = await idleShares(subjects);
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = subjects.map(({ pids }) => cpuTime(pids));
    const began = performance.now();
    const answered = await burst({ ...aim, seconds: lap * 2 }, SLICE_MS);
    const others = (performance.now() - began) * 1e6 * (1 - 1 / subjects.length);
    for (const [i, { name, pids, port }] of subjects.entries()) {
      const spent = cpuTime(pids) - before[i]! - idle[i]! * others;
      costs.get(name)!.push(spent / answered.get(port)! / 1_000);
    }
  }
  return costs;
}

/** The part of a core that each subject takes while nobody asks. */
async function idleShares(subjects: readonly Subject[]): Promise<readonly number[]> {
  const before = subjects.map(({ pids }) => cpuTime(pids));
  const began = performance.now();
  await pause(IDLE_MS);
  const passed = (performance.now() - began) * 1e6;
  return subjects.map(({ pids }, i) => (cpuTime(pids) - before[i]!) / passed);
}
