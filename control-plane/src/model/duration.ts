import { err, ok, type Result } from './result.js';

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SHAPE = /^(\d{1,9})(ms|s|m|h|d)$/;

/** What a duration may look like, for messages. */
export const DURATION_HINT = 'a whole number and a unit: 1500ms, 90s, 5m, 2h, 7d';

/** Reads `90s` and the like into milliseconds. A failure says what is allowed. */
export function parseDuration(text: string): Result<number, string> {
  const match = SHAPE.exec(text);
  if (!match) return err(`must be ${DURATION_HINT}`);
  return ok(Number(match[1]) * UNITS[match[2] as keyof typeof UNITS]);
}

/** The shortest text that `parseDuration` reads back to `ms` (a whole number, at least 0). */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  for (const unit of ['d', 'h', 'm', 's'] as const)
    if (ms % UNITS[unit] === 0) return `${String(ms / UNITS[unit])}${unit}`;
  return `${String(ms)}ms`;
}
