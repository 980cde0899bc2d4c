import { defineConfig } from 'vitest/config';

// A test named x.test.ts needs nothing; x.redis.test.ts, x.zk.test.ts, x.nginx.test.ts, x.server.test.ts start what
// they say. Servers are heavy, so at most two files of either kind run at once.
const NEEDS_SERVER = 'src/**/*.{redis,zk,nginx,server}.test.ts';

export default defineConfig({
  test: {
    root: import.meta.dirname,
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'pure',
          root: import.meta.dirname,
          include: ['src/**/*.test.ts'],
          exclude: [NEEDS_SERVER],
          // One process for many files: each test ends what it began, and a fresh process per file costs a third of the time.
          isolate: false,
          // A limit for what hangs: random histories compute for seconds, and lint runs beside them.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'server',
          root: import.meta.dirname,
          include: [NEEDS_SERVER],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
