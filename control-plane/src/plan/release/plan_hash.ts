import type { ReleaseRecord } from '../../model/release.js';
import { byCodeUnit, sha1 } from '../encode.js';
import { membersIn, type World } from '../world.js';

/*
 * The hash of a plan: short hashes of its parts side by side, so that two of them show what differs.
 */

/** Every part, in the order of the hash, as a person calls it. */
const PARTS = ['the strategy', 'the gates', 'the stable version', 'the target', 'the instances'] as const;
const DIGITS = 6;

/** What a plan hash looks like. */
export const PLAN_HASH = /^[0-9a-f]{6}(?:-[0-9a-f]{6}){4}$/;

/** Represents all that the plan of `record` was computed from. */
export function planHash(record: ReleaseRecord, world: World): string {
  return partsOf(record, world)
    .map((part) => sha1(JSON.stringify(part)).slice(0, DIGITS))
    .join('-');
}

/** What has changed between the plan of `given` and `now`, as a sentence; null if nothing has. */
export function planChange(given: string, record: ReleaseRecord, world: World): string | null {
  const [before, after] = [given.split('-'), planHash(record, world).split('-')];
  const changed = PARTS.filter((_name, index) => before[index] !== after[index]);
  if (changed.length === 0) return null;
  const now = changed.map((name) => `${name} (now ${spell(name, record, world)})`);
  return `The plan has changed since you looked at it: ${now.join(', ')}. Look again with dry_run, and decide again.`;
}

function partsOf(record: ReleaseRecord, world: World): readonly unknown[] {
  const { gates, deadline_ms, stable, base, target } = record;
  return [
    settingsIn(record),
    [gates, deadline_ms],
    [stable, base],
    target,
    instancesIn(record.service, world),
  ];
}

/** The strategy without how far it is. */
function settingsIn({ strategy }: ReleaseRecord): object {
  const { progress: _progress, ...settings } = strategy;
  return settings;
}

/** Version → ids of those that are registered, both sorted. */
function instancesIn(service: string, world: World): readonly (readonly [string, readonly string[]])[] {
  const found = new Map<string, string[]>();
  for (const [id, { registration, presence }] of membersIn(world, service)) {
    if (presence === 'gone') continue;
    const of = found.get(registration.version) ?? [];
    found.set(registration.version, [...of, id].sort(byCodeUnit));
  }
  return [...found].sort(([a], [b]) => byCodeUnit(a, b));
}

function spell(name: (typeof PARTS)[number], record: ReleaseRecord, world: World): string {
  switch (name) {
    case 'the strategy':
      return JSON.stringify(settingsIn(record)).slice(0, 200);
    case 'the gates':
      return JSON.stringify({ ...record.gates, deadline_ms: record.deadline_ms }).slice(0, 300);
    case 'the stable version':
      return record.stable;
    case 'the target':
      return record.target;
    case 'the instances': {
      const counts = instancesIn(record.service, world).map(
        ([version, ids]) => `${version === '' ? '(none)' : version} ${String(ids.length)}`,
      );
      return counts.length === 0 ? 'none' : counts.join(', ');
    }
  }
}
