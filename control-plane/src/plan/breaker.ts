import type { ForcedBreaker, IntentRecord } from '../model/intent.js';
import { spellAuthor } from './layers.js';

/** What an operator says of the breaker, if that is in force at `due`. */
export function forcedIn({ breaker }: Pick<IntentRecord, 'breaker'>, due: number): ForcedBreaker | undefined {
  return breaker?.expires !== undefined && Date.parse(breaker.expires) <= due ? undefined : breaker;
}

/** For a line of a change: `open by ann until …: reason`, or `auto`. */
export function forcedText(breaker: ForcedBreaker | undefined): string {
  return breaker ? `${breaker.state} ${spellAuthor(breaker)}` : 'auto';
}
