import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One number that was promised. */
export interface Verdict {
  readonly what: string;
  readonly measured: number;
  /** At most this. */
  readonly limit: number;
  readonly unit: string;
  /** Why it cannot be met, if that is known; shown when it is missed. */
  readonly reason?: string;
}

/** What one benchmark found: a section of docs/benchmarks.md. */
export interface Finding {
  readonly title: string;
  /** How it was measured, for somebody who doubts it. */
  readonly how: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  readonly verdicts: readonly Verdict[];
}

/** Shows the finding, and leaves it for the page where `npm run bench` collects (EBBGATE_BENCH_RESULTS). */
export function report(name: string, finding: Finding): void {
  console.log([finding.columns, ...finding.rows].map((row) => row.join(' | ')).join('\n'));
  for (const { what, measured, limit, unit } of finding.verdicts)
    console.log(
      `${what}: ${measured} ${unit}, at most ${limit} ${unit}: ${measured <= limit ? 'met' : 'MISSED'}`,
    );
  const dir = process.env.EBBGATE_BENCH_RESULTS;
  if (dir === undefined) return;
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, `${name}.json`), JSON.stringify(finding));
}

/** `value` with `digits` behind the point. */
export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}
