import { defineConfig } from 'vitest/config';

// A test named x.test.ts needs nothing and computes: three files at once on two cores, because a few wait for processes. x.redis.test.ts, x.zk.test.ts,
// x.nginx.test.ts, x.server.test.ts start what they say, and mostly wait: four at once. One process for many files: each test
// ends what it began, and a fresh process per file costs a third of the time.
const NEEDS_SERVER = 'src/**/*.{redis,zk,nginx,server}.test.ts';

export default defineConfig({
  test: {
    root: import.meta.dirname,
    projects: [
      {
        test: {
          name: 'pure',
          isolate: false,
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
          root: import.meta.dirname,
          include: ['src/**/*.test.ts'],
          exclude: [NEEDS_SERVER],
          // A limit for what hangs: random histories compute for seconds, and lint runs beside them.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'server',
          isolate: false,
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
          root: import.meta.dirname,
          include: [NEEDS_SERVER],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
