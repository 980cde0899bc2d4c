import { formatDuration } from '../model/duration.js';
import type { HoldResource, StandingHold } from '../model/hold.js';
import { enumerate } from './serving.js';
import type { World } from './world.js';

type Holding = Pick<World, 'holds'>;

/** Everything that keeps instances of `service` whose registrations vanished, the strongest first. */
export function describeHolds(world: Holding, service: string): readonly HoldResource[] {
  return (world.holds.get(service) ?? []).map((hold) => {
    return { ...hold, message: `${spellHold(hold)}${verbs(service, hold)}` };
  });
}

/** Why removals of `service` wait now, in one sentence; null if none does. */
export function protectionOf(world: Holding, service: string): string | null {
  const [first] = (world.holds.get(service) ?? []).filter(({ instances }) => instances.length > 0);
  return first === undefined ? null : spellHold(first);
}

/** What is kept, why, and until when. */
export function spellHold({ kind, instances, until, by, reason }: StandingHold): string {
  const who = `${String(instances.length)} ${instances.length === 1 ? 'instance' : 'instances'}`;
  const named = instances.length === 0 ? '' : ` (${enumerate(instances)})`;
  const end = until === null ? '' : ` until ${until}`;
  switch (kind) {
    case 'data_loss':
      return 'ZooKeeper has lost data; nothing is published until a person has decided';
    case 'unread':
      return `nodes of it cannot be read; ${who}${named} that were published before stay in use until they are read or gone`;
    case 'last':
      return `no instance is registered that takes requests; ${who}${named} whose registrations vanished stay in use as suspects until they are back, or a person says that they are gone`;
    case 'person':
      return instances.length === 0
        ? `held by ${by ?? ''}${end}: ${reason ?? ''}; nothing that vanishes is removed before`
        : `held by ${by ?? ''}${end}: ${reason ?? ''}; ${who}${named} whose registrations vanished stay in use`;
    case 'suspect':
      return `${who}${named} vanished together and stay in use as suspects${end}, then they are removed`;
    case 'settle':
      return `ZooKeeper was silent; removals of ${who}${named} wait for the settle time${end}`;
  }
}

const SUGGESTED_MS = 1_800_000;

function verbs(service: string, { kind, instances }: StandingHold): string {
  const accept = `ebbgate accept ${service} --reason …`;
  const hold = `ebbgate hold ${service} --for ${formatDuration(SUGGESTED_MS)} --reason …`;
  switch (kind) {
    case 'data_loss':
      return ': ebbgate accept-data-loss';
    case 'unread':
      return '';
    case 'last':
      return `: ${accept}`;
    case 'person':
      return instances.length === 0 ? `. To end it: ${accept}` : `. They are gone: ${accept}`;
    case 'suspect':
    case 'settle':
      return `. They live: ${hold}; they are gone: ${accept}`;
  }
}
