import { NO_INTENT, type StoredIntent } from '../model/intent.js';
import type { Registration, RegistryView } from '../model/registration.js';
import type { ReleaseTraffic } from '../model/release.js';
import { differing, sameOr, Successor } from './incremental.js';
import type { Hold } from './hold.js';
import type { Membership, MembershipRules, ServiceMembers } from './membership.js';
import { observeService, type ServiceInstanceEvent, type ServiceObservation } from './observe_service.js';
import type { Moment, ServiceInput } from './service_input.js';

export interface MembershipEvent extends ServiceInstanceEvent {
  readonly service: string;
}

/** What was seen of one service the last time, and from what. */
interface Seen {
  readonly input: ServiceInput;
  readonly output: ServiceObservation;
}

/** What was seen of all services the last time, and from what. */
interface Memory {
  readonly instances: RegistryView['instances'];
  readonly membership: Membership;
  readonly seen: Map<string, Seen>;
  /** Those of which something else than what is registered may change the members. */
  readonly waiting: Map<string, ServiceObservation>;
}

export interface Observation {
  /** The same object as before if nothing changed; so are the maps of services in which nothing changed. */
  readonly membership: Membership;
  readonly events: readonly MembershipEvent[];
  /** Service → why its removals wait; the same list while it is the same. */
  readonly holds: ReadonlyMap<string, readonly Hold[]>;
  /** When something here changes by time alone: monotonic; Infinity if never. */
  readonly wake_at: number;
  /** The same by `due`, because something expires. */
  readonly valid_until: number;
  /**
   * Goes over to the next `observe`, which looks again only at services of which something is another object, or is due, and
   * is of no use to any other after that.
   */
  readonly memory: Memory;
}

export interface ObserveInput extends Moment {
  readonly previous: Membership;
  readonly view: RegistryView;
  /** See `ServiceInput`. */
  readonly settle_until: number;
  readonly rules: MembershipRules;
  readonly intents: ReadonlyMap<string, StoredIntent>;
  /** What running releases ask for, by service. */
  readonly traffic: ReadonlyMap<string, ReleaseTraffic>;
}

const NOBODY: ServiceMembers = new Map();
const NOTHING: ReadonlyMap<string, Registration> = new Map();

/** The membership after `view`. `last` has a memory of what was seen before, which changes no result. */
export function observe(input: ObserveInput, last?: Pick<Observation, 'memory' | 'holds'>): Observation {
  const { previous, view, intents, traffic, rules } = input;
  const unread = new Set(view.unread.map(({ service }) => service));
  const { seen, waiting } = last?.memory ?? {
    seen: new Map<string, Seen>(),
    waiting: new Map<string, ServiceObservation>(),
  };
  const membership = new Successor(previous);
  const events: MembershipEvent[] = [];
  for (const service of suspects(input, last?.memory)) {
    const now: ServiceInput = {
      members: previous.get(service) ?? NOBODY,
      seen: view.instances.get(service) ?? NOTHING,
      unread: unread.has(service) || unread.has(null),
      record: intents.get(service)?.record ?? NO_INTENT,
      release: traffic.get(service) ?? null,
      settle_until: input.settle_until,
    };
    const known = seen.get(service);
    if (known !== undefined && isSame(known, now, input)) continue;
    const output = observeService(now, input, rules);
    for (const event of output.events) events.push({ service, ...event });
    const isEmpty = output.members.size === 0;
    membership.set(service, isEmpty ? undefined : output.members);
    if (isEmpty) seen.delete(service);
    else seen.set(service, { input: now, output });
    if (isEmpty || output.settled) waiting.delete(service);
    else waiting.set(service, output);
  }
  const holds = new Map<string, readonly Hold[]>();
  let [wakeAt, validUntil] = [Infinity, Infinity];
  for (const [service, { holds: of, wake_at, valid_until }] of waiting) {
    if (of.length > 0) holds.set(service, of);
    wakeAt = Math.min(wakeAt, wake_at);
    validUntil = Math.min(validUntil, valid_until);
  }
  return {
    membership: membership.map,
    events,
    holds: sameOr(last?.holds, holds),
    wake_at: Math.min(wakeAt, input.now + validUntil - input.due),
    valid_until: validUntil,
    memory: { instances: view.instances, membership: membership.map, seen, waiting },
  };
}

/** The services of which a look may see something else than the last one. */
function suspects({ previous, view }: ObserveInput, memory: Memory | undefined): ReadonlySet<string> {
  if (memory === undefined) return new Set([...previous.keys(), ...view.instances.keys()]);
  return new Set([
    ...memory.waiting.keys(),
    ...differing(memory.membership, previous),
    ...differing(memory.instances, view.instances),
  ]);
}

/** True if a second look would see what the first saw. */
function isSame({ input: then, output }: Seen, now: ServiceInput, { now: at, due }: Moment): boolean {
  if (output.members !== now.members || then.seen !== now.seen) return false;
  if (output.settled) return true;
  return (
    then.unread === now.unread &&
    then.record === now.record &&
    then.release === now.release &&
    then.settle_until === now.settle_until &&
    at < output.wake_at &&
    due < output.valid_until
  );
}
