import type { PlannedChange } from '../model/mutation.js';

/**
 * What a mutation changes, for a person. Instances that nobody touched and whose part of the traffic moves alike share one
 * line: `shop  traffic of 2 others: 33.3 % → 50 %`.
 */
export function changeLines(changes: readonly PlannedChange[]): readonly string[] {
  const touched = new Set(changes.filter(({ field }) => field !== 'traffic').map(place));
  const alike = new Map<string, PlannedChange[]>();
  for (const change of changes) {
    if (change.field !== 'traffic' || touched.has(place(change))) continue;
    const key = `${change.service}|${change.from}|${change.to}`;
    alike.set(key, [...(alike.get(key) ?? []), change]);
  }
  const grouped = new Map([...alike.values()].filter(({ length }) => length > 1).map((all) => [all[0], all]));
  const hidden = new Set([...grouped.values()].flat());
  return changes.flatMap((change) => {
    const group = grouped.get(change);
    if (group) return [`${change.service}  traffic of ${String(group.length)} others: ${move(change)}`];
    return hidden.has(change) ? [] : [`${place(change)}  ${change.field}: ${move(change)}`];
  });
}

function place({ service, instance }: PlannedChange): string {
  return instance === null ? service : `${service}/${instance}`;
}

function move({ from, to }: PlannedChange): string {
  return `${from || '-'} → ${to || '-'}`;
}
