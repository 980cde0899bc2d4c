import { appendFileSync } from 'node:fs';

/** Notes how long something took, in the file that EBBGATE_MEASURED names; gives the milliseconds back. */
export function measured(what: string, ms: number): number {
  const file = process.env.EBBGATE_MEASURED;
  if (file !== undefined) appendFileSync(file, `${what}: ${ms.toFixed(0)} ms\n`);
  return ms;
}
