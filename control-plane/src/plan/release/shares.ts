import { own, put } from '../../model/dictionary.js';
import type { Shares } from '../../model/release.js';

/*
 * The arithmetic of shares, in whole percents, so that they sum to 100 exactly. The worked examples are rows of the test.
 */

/** The share of `version`; 0 if it has none. */
export function shareOf(shares: Readonly<Record<string, number>>, version: string): number {
  return Object.hasOwn(shares, version) ? (shares[version] ?? 0) : 0;
}

/** True if no version has a share: every instance serves by its weight. */
export function isByWeights(shares: Shares): boolean {
  return Object.keys(shares).length === 0;
}

/**
 * `base` with `weight` percent for `target`. What is left is split over the others in proportion to `base`,
 * rounded down, and what rounding leaves goes to `stable`; so it does if nobody else has a share.
 */
export function shiftShares(base: Shares, stable: string, target: string, weight: number): Shares {
  const others = Object.entries(base).filter(([version, share]) => version !== target && share > 0);
  const total = others.reduce((sum, [, share]) => sum + share, 0);
  const left = 100 - weight;
  const shares: Record<string, number> = {};
  for (const [version, share] of others)
    if (version !== stable) put(shares, version, Math.floor((share * left) / total));
  const given = Object.values(shares).reduce((sum, share) => sum + share, 0);
  // Rounding's rest must not wake a stable version up that had nothing: then the largest other one keeps it.
  const heir = others.length === 0 || shareOf(base, stable) > 0 ? stable : largest(shares, stable);
  put(shares, heir, (own(shares, heir) ?? 0) + left - given);
  if (weight > 0) put(shares, target, weight);
  return withoutZeros(shares);
}

/**
 * What `shares` come to while only the versions in `ready` have an instance that takes requests: the share of any other goes
 * to `stable`; if that has none either, to the one that has the largest share; if none of them has one, nothing changes.
 */
export function giveBack(
  shares: Readonly<Record<string, number>>,
  stable: string,
  ready: ReadonlySet<string>,
): Shares {
  const kept = Object.entries(shares).filter(([version, share]) => share > 0 && ready.has(version));
  const given = Object.entries(shares)
    .filter(([version]) => !ready.has(version))
    .reduce((sum, [, share]) => sum + share, 0);
  if (given === 0) return shares;
  const result: Record<string, number> = Object.fromEntries(kept);
  const heir = ready.has(stable) ? stable : (heirOf(kept) ?? [...ready].sort()[0]);
  if (heir === undefined) return shares;
  put(result, heir, (own(result, heir) ?? 0) + given);
  return result;
}

/** The shares that ready instances come to by their number, whole percents; what rounding leaves goes to `stable`, or the largest. */
export function sharesByCount(ready: Readonly<Record<string, number>>, stable: string): Shares {
  const total = Object.values(ready).reduce((sum, count) => sum + count, 0);
  if (total === 0) return { [stable]: 100 };
  const shares: Record<string, number> = {};
  for (const [version, count] of Object.entries(ready))
    put(shares, version, Math.floor((100 * count) / total));
  const heir = shareOf(ready, stable) > 0 ? stable : largest(shares, stable);
  const given = Object.values(shares).reduce((sum, share) => sum + share, 0);
  put(shares, heir, (own(shares, heir) ?? 0) + 100 - given);
  return withoutZeros(shares);
}

/** True if both give every version the same. */
export function sameShares(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): boolean {
  const versions = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...versions].every((version) => shareOf(a, version) === shareOf(b, version));
}

/** `v1 95 %, v2 5 %` */
export function spellShares(shares: Shares): string {
  const names = Object.keys(shares).sort();
  return names.map((version) => `${version} ${String(shareOf(shares, version))} %`).join(', ');
}

function largest(shares: Shares, otherwise: string): string {
  return heirOf(Object.entries(shares)) ?? otherwise;
}

function heirOf(entries: readonly (readonly [string, number])[]): string | undefined {
  return [...entries].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))[0]?.[0];
}

function withoutZeros(shares: Shares): Shares {
  return Object.fromEntries(Object.entries(shares).filter(([, share]) => share > 0));
}
