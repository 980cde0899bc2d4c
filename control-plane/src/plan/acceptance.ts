import type { Freeze } from '../model/freeze.js';
import type { RosterEntry } from '../model/gateway.js';
import { NO_INTENT, type IntentRecord, type ServiceEvent } from '../model/intent.js';
import type { RegistryView } from '../model/registration.js';
import type { ReleaseRecord } from '../model/release.js';
import type { PlannedChange } from '../model/resources.js';
import { byCodeUnit } from './encode.js';
import { freezeText } from './freeze.js';
import { diffRecords } from './diff.js';
import type { Membership } from './membership.js';
import { revise } from './record.js';

/*
 * What it means to accept that ZooKeeper has lost data: what it holds now is right, and what was known beyond that is lost,
 * unless the wishes are to be kept.
 */

/** What was known before the loss, and what ZooKeeper holds now. */
export interface LossFacts {
  readonly membership: Membership;
  readonly view: RegistryView;
  /** Service → what was decided, as far as it is remembered or the published sets tell it. */
  readonly known: ReadonlyMap<string, IntentRecord>;
  readonly held: ReadonlyMap<string, IntentRecord>;
  readonly roster: { readonly known: ReadonlyMap<string, RosterEntry>; readonly held: ReadonlySet<string> };
  /** The releases that ran when the loss was seen, and the services of which ZooKeeper holds one now. */
  readonly releases: { readonly known: readonly ReleaseRecord[]; readonly held: ReadonlySet<string> };
  /** The freeze of everything that was known, and whether ZooKeeper holds a record of it now. */
  readonly freeze?: { readonly known: Freeze | null; readonly held: boolean };
  /** Known wishes are written back, over what ZooKeeper holds. */
  readonly keep: boolean;
  readonly wall: number;
}

/** What an acceptance takes away or brings back, line by line. */
export function changesOfAcceptance(facts: LossFacts): readonly PlannedChange[] {
  return [
    ...lostRegistrations(facts),
    ...services(facts).flatMap((service) => changedWishes(facts, service)),
    ...lostReleases(facts),
    ...lostFreeze(facts),
    ...regained(facts),
  ];
}

/**
 * The records to write: for every service of which anything was known, what is decided from now on, with the acceptance in
 * its history.
 */
export function recordsOfAcceptance(
  facts: LossFacts,
  who: { readonly by: string; readonly reason: string },
): ReadonlyMap<string, IntentRecord> {
  const at = new Date(facts.wall).toISOString();
  return new Map(
    services(facts).map((service) => {
      // Of whom nobody decided anything only the part of the traffic moves.
      const changes = changedWishes(facts, service).filter(({ field }) => field !== 'traffic');
      const outcome =
        changes.length === 0 ? 'no wish is lost' : `changed by it: ${changes.map(sentence).join('; ')}`;
      const event: ServiceEvent = {
        at,
        event: 'data_loss_accepted',
        by: who.by,
        message: `a data loss of ZooKeeper was accepted (${who.reason}); ${outcome}`,
      };
      return [service, revise(recordAfter(facts, service), {}, [event])];
    }),
  );
}

function services({ known, held }: LossFacts): readonly string[] {
  return [...new Set([...known.keys(), ...held.keys()])].sort(byCodeUnit);
}

function recordAfter({ known, held, keep }: LossFacts, service: string): IntentRecord {
  return (keep ? known.get(service) : undefined) ?? held.get(service) ?? NO_INTENT;
}

function lostRegistrations({ membership, view }: LossFacts): readonly PlannedChange[] {
  const there = new Set(view.instances.map(({ service, id }) => `${service}|${id}`));
  return [...membership].flatMap(([service, members]) =>
    [...members]
      .filter(([id, { presence }]) => presence !== 'gone' && !there.has(`${service}|${id}`))
      .map(([instance]) => ({ service, instance, field: 'registration', from: 'known', to: 'none' })),
  );
}

function changedWishes(facts: LossFacts, service: string): readonly PlannedChange[] {
  const before = facts.known.get(service) ?? NO_INTENT;
  const after = recordAfter(facts, service);
  if (before === after) return [];
  const kept = new Set(after.ops.map(({ id }) => id));
  const operations = before.ops
    .filter(({ id, result }) => result === undefined && !kept.has(id))
    .map(({ id }) => ({ service, instance: null, field: `operation ${id}`, from: 'running', to: 'none' }));
  const members = facts.membership.get(service) ?? new Map<string, never>();
  return [...diffRecords(service, members, before, after, facts.wall), ...operations];
}

/** Running releases that ZooKeeper holds no more: they are to be written back if wishes are kept. */
export function missingReleases({ releases }: LossFacts): readonly ReleaseRecord[] {
  return releases.known.filter(({ service }) => !releases.held.has(service));
}

function lostReleases(facts: LossFacts): readonly PlannedChange[] {
  if (facts.keep) return [];
  return missingReleases(facts).map(({ service, id }) => {
    return { service, instance: null, field: `release ${id}`, from: 'running', to: 'none' };
  });
}

function lostFreeze({ freeze, keep }: LossFacts): readonly PlannedChange[] {
  if (!freeze || freeze.known === null || freeze.held || keep) return [];
  return [{ service: '*', instance: null, field: 'freeze', from: freezeText(freeze.known), to: 'none' }];
}

/** The roster is never given up: whoever was known must be heard, left or forgotten. */
function regained({ roster }: LossFacts): readonly PlannedChange[] {
  return [...roster.known.keys()]
    .filter((id) => !roster.held.has(id))
    .sort(byCodeUnit)
    .map((id) => ({
      service: '',
      instance: null,
      field: `gateway ${id}`,
      from: 'lost',
      to: 'in the roster',
    }));
}

function sentence({ instance, field, from, to }: PlannedChange): string {
  return `${instance === null ? '' : `${instance} `}${field} ${from || 'none'} → ${to || 'none'}`;
}
