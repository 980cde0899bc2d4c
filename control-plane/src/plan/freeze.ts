import { dueOf } from './clock.js';
import type { Freeze, FreezeResource } from '../model/freeze.js';
import { spellAuthor } from './layers.js';
import { recordIn, type World } from './world.js';

/** True while it is in force. */
export function isFrozen(freeze: Freeze | null | undefined, wall: number): freeze is Freeze {
  return (
    freeze !== null &&
    freeze !== undefined &&
    (freeze.expires === undefined || Date.parse(freeze.expires) > wall)
  );
}

/** What freezes `service` now: its own freeze, and that of everything. */
export function freezesOf(world: World, service: string): readonly FreezeResource[] {
  const own = recordIn(world, service).freeze;
  return [...(isFrozen(own, dueOf(world)) ? [describeFreeze(own, 'service')] : []), ...freezesOfAll(world)];
}

/** What freezes everything now. */
export function freezesOfAll(world: World): readonly FreezeResource[] {
  const { frozen } = world;
  return frozen !== 'unknown' && isFrozen(frozen, dueOf(world)) ? [describeFreeze(frozen, 'all')] : [];
}

/** Why a freeze lets no step of `service` begin, one sentence each; also while it cannot be known. */
export function frozenBy(world: World, service: string): readonly string[] {
  const unknown =
    world.frozen === 'unknown'
      ? ['the freeze of all services cannot be read from ZooKeeper, so it counts as frozen']
      : [];
  return [...freezesOf(world, service).map((one) => spellFreeze(service, one)), ...unknown];
}

function spellFreeze(service: string, { scope, by, reason, until }: FreezeResource): string {
  const what = scope === 'all' ? 'everything' : service;
  return `${what} is frozen by ${by}${until === null ? '' : ` until ${until}`}: ${reason}`;
}

function describeFreeze({ by, reason, at, expires }: Freeze, scope: FreezeResource['scope']): FreezeResource {
  return { scope, by, reason, since: at, until: expires ?? null };
}

/** For a line of a change: `frozen by ann until …: reason`, or `none`. */
export function freezeText(freeze: Freeze | null | undefined): string {
  return freeze ? `frozen ${spellAuthor(freeze)}` : 'none';
}
