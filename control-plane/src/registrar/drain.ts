import type { Clock } from '../model/ports.js';

/** What the control API says of this instance's drain at one moment. */
export type DrainAnswer =
  | { readonly kind: 'drained' }
  | { readonly kind: 'waiting'; readonly waiting_for: readonly string[] }
  /** The controller has a complete view of the registry, and this instance is not in it. */
  | { readonly kind: 'unknown'; readonly reason: string }
  /** No answer, or one that proves nothing. */
  | { readonly kind: 'away'; readonly reason: string };

/** Asks once. Never rejects; an aborted signal is an `away`. */
export type AskDrained = (signal: AbortSignal) => Promise<DrainAnswer>;

export type DrainEnd =
  /** Proven: no gateway sends to this instance, and none has a request on it. */
  | 'drained'
  /** The controller does not know this instance, and went on not to: no gateway was ever sent to it. */
  | 'never_accepted'
  /** The signal aborted first. Nothing is claimed. */
  | 'unproven';

/** How many answers in a row must say that nobody knows this instance: one that has just registered is known in a moment. */
const UNKNOWN_ANSWERS = 8;

/**
 * Asks every `everyMs` until the answer is `drained`, the instance turns out to be unknown, or `signal` aborts (its owner decides when the waiting is
 * over). `onWaiting` hears each change of what is waited for, as sentences.
 */
export async function waitDrained(options: {
  readonly ask: AskDrained;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onWaiting: (sentences: readonly string[]) => void;
  readonly everyMs?: number;
}): Promise<DrainEnd> {
  let said = '';
  let unknown = 0;
  const over = (): boolean => options.signal.aborted;
  while (!over()) {
    const answer = await options.ask(options.signal);
    if (answer.kind === 'drained') return 'drained';
    if (over()) break;
    unknown = answer.kind === 'unknown' ? unknown + 1 : 0;
    if (unknown >= UNKNOWN_ANSWERS) return 'never_accepted';
    const sentences = answer.kind === 'waiting' ? answer.waiting_for : [answer.reason];
    const text = sentences.join('\n');
    if (text !== said) options.onWaiting(sentences);
    said = text;
    await options.clock.sleep(options.everyMs ?? 200, options.signal);
  }
  return 'unproven';
}
