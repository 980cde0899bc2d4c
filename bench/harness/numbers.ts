/** The value below which `share` (0 … 1) of `values` lie, by the nearest rank. Throws without values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new Error('no values to take a quantile of');
  return value;
}

/** The value in the middle. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** `a[i] / b[i]` for every round: what disturbed a round disturbed both of its sides. */
export function ratios(a: readonly number[], b: readonly number[]): readonly number[] {
  return a.map((value, round) => value / (b[round] ?? NaN));
}
