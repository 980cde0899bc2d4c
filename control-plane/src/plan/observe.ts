import { NO_INTENT, type StoredIntent } from '../model/intent.js';
import type { Registration, RegistryView } from '../model/registration.js';
import type { ReleaseTraffic } from '../model/release.js';
import { sameOr } from './incremental.js';
import type { Membership, MembershipRules, ServiceMembers } from './membership.js';
import {
  observeService,
  type Moment,
  type ServiceInput,
  type ServiceInstanceEvent,
  type ServiceObservation,
} from './observe_service.js';

export interface MembershipEvent extends ServiceInstanceEvent {
  readonly service: string;
}

/** What was seen of one service the last time, and from what. */
interface Seen {
  readonly input: ServiceInput;
  readonly output: ServiceObservation;
}

export interface Observation {
  /** The same object as before if nothing changed; so are the maps of services in which nothing changed. */
  readonly membership: Membership;
  readonly events: readonly MembershipEvent[];
  /** Service → why its removals wait. */
  readonly protections: ReadonlyMap<string, string>;
  /** When something here changes by time alone: monotonic, and by the wall clock. Infinity if never. */
  readonly wake_at: number;
  readonly valid_until: number;
  /** To be given to the next `observe`: it looks again only at services of which something is another object, or is due. */
  readonly seen: ReadonlyMap<string, Seen>;
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

/** The membership after `view`. `last` is a memory of what was seen before, and changes no result. */
export function observe(input: ObserveInput, last?: Pick<Observation, 'seen' | 'protections'>): Observation {
  const { previous, view, intents, traffic, rules } = input;
  const unread = new Set(view.unread.map(({ service }) => service));
  const membership = new Map<string, ServiceMembers>();
  const protections = new Map<string, string>();
  const events: MembershipEvent[] = [];
  const seen = new Map<string, Seen>();
  let [wakeAt, validUntil] = [Infinity, Infinity];
  for (const service of new Set([...previous.keys(), ...view.instances.keys()])) {
    const now: ServiceInput = {
      members: previous.get(service) ?? NOBODY,
      seen: view.instances.get(service) ?? NOTHING,
      unread: unread.has(service) || unread.has(null),
      record: intents.get(service)?.record ?? NO_INTENT,
      release: traffic.get(service) ?? null,
      settle_until: input.settle_until,
    };
    const known = last?.seen.get(service);
    const isKnown = known !== undefined && isSame(known, now, input);
    const output = isKnown ? known.output : observeService(now, input, rules);
    if (!isKnown) for (const event of output.events) events.push({ service, ...event });
    if (output.members.size === 0) continue;
    membership.set(service, output.members);
    seen.set(service, isKnown ? known : { input: now, output });
    if (output.protection !== null) protections.set(service, output.protection);
    wakeAt = Math.min(wakeAt, output.wake_at);
    validUntil = Math.min(validUntil, output.valid_until);
  }
  return {
    membership: sameOr(previous, membership),
    events,
    protections: sameOr(last?.protections, protections),
    wake_at: wakeAt,
    valid_until: validUntil,
    seen,
  };
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
