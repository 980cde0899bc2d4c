import { setTimeout as pause } from 'node:timers/promises';

/** What the control API says of this instance's drain at one moment. */
export type DrainAnswer =
  | { readonly kind: 'drained' }
  | { readonly kind: 'waiting'; readonly waiting_for: readonly string[] }
  /** No answer, or one that proves nothing. */
  | { readonly kind: 'away'; readonly reason: string };

/** Asks once. Never rejects; an aborted signal is an `away`. */
export type AskDrained = (signal: AbortSignal) => Promise<DrainAnswer>;

export type DrainEnd =
  /** Proven: no gateway sends to this instance, and none holds a request on it. */
  | 'drained'
  /** The signal aborted first. Nothing is claimed. */
  | 'unproven';

/**
 * Asks every `everyMs` until the answer is `drained` or `signal` aborts (its owner decides when the waiting is
 * over). `onWaiting` hears each change of what is waited for, as sentences.
 */
export async function waitDrained(options: {
  readonly ask: AskDrained;
  readonly signal: AbortSignal;
  readonly onWaiting: (sentences: readonly string[]) => void;
  readonly everyMs?: number;
}): Promise<DrainEnd> {
  let said = '';
  const over = (): boolean => options.signal.aborted;
  while (!over()) {
    const answer = await options.ask(options.signal);
    if (answer.kind === 'drained') return 'drained';
    if (over()) break;
    const sentences = answer.kind === 'away' ? [answer.reason] : answer.waiting_for;
    const text = sentences.join('\n');
    if (text !== said) options.onWaiting(sentences);
    said = text;
    await pause(options.everyMs ?? 200, undefined, { signal: options.signal }).catch(() => undefined);
  }
  return 'unproven';
}
