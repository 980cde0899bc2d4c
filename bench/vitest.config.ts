import { defineConfig } from 'vitest/config';

// Numbers, not verdicts: one file after the other, in one process each, because numbers taken side by side disturb each other.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['**/*.bench.ts'],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 60_000,
  },
});
