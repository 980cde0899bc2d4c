import { defineConfig } from 'vitest/config';

// Whole scenarios on real servers: one file at a time, because each of them wants the machine's cores.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['**/*.e2e.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
