import { defineConfig } from 'vitest/config';

const root = import.meta.dirname;
const shared = { root, testTimeout: 120_000, hookTimeout: 120_000 };

// Whole scenarios on real servers. Those that measure how requests are spread, how fast, or how often something is tried want
// the machine to themselves; the others mostly wait, and two of their files run at once.
const ALONE = [
  'balancers',
  'connections',
  'gateway',
  'health',
  'health_checks',
  'loss',
  'one_bad',
  'soak',
  'weights',
].map((name) => `${name}.e2e.test.ts`);

export default defineConfig({
  test: {
    ...shared,
    projects: [
      {
        test: {
          ...shared,
          name: 'alone',
          include: ALONE,
          fileParallelism: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...shared,
          name: 'beside',
          include: ['**/*.e2e.test.ts'],
          exclude: ALONE,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
