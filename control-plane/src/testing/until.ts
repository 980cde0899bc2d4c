import { vi } from 'vitest';

/** Waits until `condition` no longer throws, however busy the machine is. */
export function until(condition: () => unknown): Promise<unknown> {
  return vi.waitFor(condition, { timeout: 30_000, interval: 10 });
}
