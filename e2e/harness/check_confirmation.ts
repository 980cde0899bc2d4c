import type { RegisteredInstance } from './registered_instance.js';

/** A drain that the controller has called drained, in milliseconds of the wall clock. */
export interface Confirmation {
  readonly instance: RegisteredInstance;
  readonly operation: string;
  readonly at: number;
  /** When giving the instance back was first asked for; Infinity if it never was. */
  readonly until: number;
}

/** What the instance itself saw against what was promised of it: sentences; empty = the promise was kept. */
export function checkConfirmation({ instance, operation, at, until: end }: Confirmation): readonly string[] {
  const reported = `${instance.id} (${operation})`;
  return instance.arrivals.flatMap((one) => {
    if (one.at > at && one.at < end)
      return [`${reported}: a request came ${String(one.at - at)} ms after the proof`];
    const kept = one.at <= at && (one.ended === null || one.ended > at);
    const after = one.ended === null ? 'never' : `${String(one.ended - at)} ms after`;
    return kept
      ? [
          `${reported}: proven while a request was open, from ${String(at - one.at)} ms before it, ended ${after}`,
        ]
      : [];
  });
}
