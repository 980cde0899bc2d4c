import { cpuTime } from './cpu_time.js';
import { burst, type Aim } from './drive.js';
import type { Subject } from './lab.js';

export const ROUNDS = 15;
export const SLICE_MS = 200;

/** Microseconds per request of each subject, one for every round. */
export async function compareCpu(
  subjects: readonly Subject[],
  host: string,
): Promise<ReadonlyMap<string, number[]>> {
  const costs = new Map<string, number[]>(subjects.map(({ name }) => [name, []]));
  const lap = (subjects.length * SLICE_MS) / 1_000;
  const aim: Aim = { host, ports: subjects.map(({ port }) => port), connections: 16, seconds: lap };
  await burst({ ...aim, seconds: lap * 4 }, SLICE_MS); // LuaJIT compiles what it sees often
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = subjects.map(({ pids }) => cpuTime(pids));
    const answered = await burst({ ...aim, seconds: lap * 2 }, SLICE_MS);
    for (const [i, { name, pids, port }] of subjects.entries()) {
      const spent = cpuTime(pids) - before[i]!;
      costs.get(name)!.push(spent / answered.get(port)! / 1_000);
    }
  }
  return costs;
}
