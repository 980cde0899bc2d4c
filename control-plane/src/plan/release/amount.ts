import type { Amount } from '../../model/release_strategy.js';

/** Examples: `{percent: 20}` of 12 → 2, of 3 → 1; `{count: 5}` of 3 → 5. */
export function amountOf(amount: Amount, total: number): number {
  if ('count' in amount) return amount.count;
  return Math.max(1, Math.floor((amount.percent * total) / 100));
}

/** `2` or `20%` */
export function spellAmount(amount: Amount): string {
  return 'count' in amount ? String(amount.count) : `${String(amount.percent)}%`;
}
