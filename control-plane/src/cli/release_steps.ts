import { parseDuration } from '../model/duration.js';
import { err, ok, type Result } from '../model/result.js';

/** A step as the API takes it. */
export type GivenStep =
  | { readonly weight: number }
  | { readonly pause: string | Readonly<Record<string, never>> };

export const STEPS_HINT = 'a share (5 or 5%), a time to soak (2m), or pause, with commas: 5,2m,25,pause,100';

/** Reads `5,2m,25,pause,100`. A failure names the part that is wrong. */
export function parseSteps(text: string): Result<readonly GivenStep[], string> {
  const steps: GivenStep[] = [];
  for (const part of text.split(',').map((one) => one.trim())) {
    const weight = /^(\d{1,3})%?$/.exec(part)?.[1];
    if (part === 'pause') steps.push({ pause: {} });
    else if (weight !== undefined && Number(weight) <= 100) steps.push({ weight: Number(weight) });
    else if (parseDuration(part).ok) steps.push({ pause: part });
    else return err(`${JSON.stringify(part)} is no step; a step is ${STEPS_HINT}`);
  }
  return ok(steps);
}
