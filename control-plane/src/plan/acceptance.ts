import type { ConsumerRecord } from '../model/api_consumer.js';
import type { ConsumerEdit, StoredConsumer } from '../model/api_consumer_ports.js';
import type { Freeze } from '../model/freeze.js';
import type { RosterEntry } from '../model/gateway.js';
import { NO_INTENT, type IntentRecord, type ServiceEvent } from '../model/intent.js';
import type { RegistryView } from '../model/registration.js';
import type { ReleaseRecord } from '../model/release.js';
import type { PlannedChange } from '../model/mutation.js';
import type { TokenRecord } from '../model/token.js';
import type { StoredToken, TokenEdit } from '../model/token_ports.js';
import { changesOfConsumer } from './diff_consumer.js';
import { byCodeUnit } from './encode.js';
import { freezeText } from './freeze.js';
import { diffRecords } from './diff.js';
import type { Membership } from './membership.js';
import { revise } from './record.js';

/*
 * What it means to accept that ZooKeeper has lost data: what it contains now is right, and what was known beyond that is lost,
 * unless the intents are to be kept.
 */

/** What was known before the loss, and what ZooKeeper contains now. */
export interface LossFacts {
  readonly membership: Membership;
  readonly view: RegistryView;
  /** Service → its intents, as far as they are remembered or the published sets show them. */
  readonly known: ReadonlyMap<string, IntentRecord>;
  readonly found: ReadonlyMap<string, IntentRecord>;
  /** The gateways' entries, those included that have gone. */
  readonly roster: {
    readonly known: ReadonlyMap<string, RosterEntry>;
    readonly found: ReadonlyMap<string, RosterEntry>;
  };
  /** The releases that ran when the loss was seen, and the services of which ZooKeeper contains one now. */
  readonly releases: { readonly known: readonly ReleaseRecord[]; readonly found: ReadonlySet<string> };
  /** The freeze of everything that was known, and whether ZooKeeper contains a record of it now. */
  readonly freeze?: { readonly known: Freeze | null; readonly found: boolean };
  /** The tokens that were valid, and those that ZooKeeper contains now. */
  readonly tokens?: {
    readonly known: ReadonlyMap<string, TokenRecord>;
    readonly found: ReadonlyMap<string, StoredToken>;
  };
  /** The consumers that there were, and those that ZooKeeper contains now. */
  readonly consumers?: {
    readonly known: ReadonlyMap<string, ConsumerRecord>;
    readonly found: ReadonlyMap<string, StoredConsumer>;
  };
  /** Known intents are written back, over what ZooKeeper contains. */
  readonly keep: boolean;
  readonly wall: number;
}

/** What an acceptance takes away or brings back, line by line. */
export function changesOfAcceptance(facts: LossFacts): readonly PlannedChange[] {
  return [
    ...lostRegistrations(facts),
    ...services(facts).flatMap((service) => changedIntents(facts, service)),
    ...lostReleases(facts),
    ...lostFreeze(facts),
    ...regained(facts),
    ...missingTokens(facts).map(changedToken),
    ...missingConsumers(facts).flatMap((edit) => changedConsumer(facts, edit)),
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
      const changes = changedIntents(facts, service).filter(({ field }) => field !== 'traffic');
      const outcome =
        changes.length === 0 ? 'no intent is lost' : `changed by it: ${changes.map(sentence).join('; ')}`;
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

function services({ known, found }: LossFacts): readonly string[] {
  return [...new Set([...known.keys(), ...found.keys()])].sort(byCodeUnit);
}

function recordAfter({ known, found, keep }: LossFacts, service: string): IntentRecord {
  return (keep ? known.get(service) : undefined) ?? found.get(service) ?? NO_INTENT;
}

function lostRegistrations({ membership, view }: LossFacts): readonly PlannedChange[] {
  return [...membership].flatMap(([service, members]) =>
    [...members]
      .filter(([id, { presence }]) => presence !== 'gone' && view.instances.get(service)?.has(id) !== true)
      .map(([instance]) => ({ service, instance, field: 'registration', from: 'known', to: 'none' })),
  );
}

function changedIntents(facts: LossFacts, service: string): readonly PlannedChange[] {
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

/** Running releases that ZooKeeper no longer contains: they are to be written back if intents are kept. */
export function missingReleases({ releases }: LossFacts): readonly ReleaseRecord[] {
  return releases.known.filter(({ service }) => !releases.found.has(service));
}

function lostReleases(facts: LossFacts): readonly PlannedChange[] {
  if (facts.keep) return [];
  return missingReleases(facts).map(({ service, id }) => {
    return { service, instance: null, field: `release ${id}`, from: 'running', to: 'none' };
  });
}

function lostFreeze({ freeze, keep }: LossFacts): readonly PlannedChange[] {
  if (!freeze || freeze.known === null || freeze.found || keep) return [];
  return [{ service: '*', instance: null, field: 'freeze', from: freezeText(freeze.known), to: 'none' }];
}

/**
 * What was known of the gateways before a loss. Whoever was not there before it (`began`) has seen no roster: then every name
 * in Redis' list counts as well, because a gateway whose heartbeat has run out may still serve.
 */
export function rosterBefore(
  entries: ReadonlyMap<string, RosterEntry>,
  listed: Iterable<string>,
  { began, wall }: { readonly began: 'before' | 'after'; readonly wall: number },
): ReadonlyMap<string, RosterEntry> {
  if (began === 'before') return entries;
  const since = new Date(wall).toISOString();
  const named = [...listed].map((id): [string, RosterEntry] => [id, { id, boot: '', host: '', since }]);
  return new Map([...named, ...entries]);
}

/**
 * The entries to write back. The roster is never given up: whoever was known must be heard, left or forgotten, also one that
 * an older copy shows as gone; and who has gone since an older copy is not waited for again.
 */
export function missingGateways({ roster: { known, found } }: LossFacts): readonly RosterEntry[] {
  return [...known.values()]
    .filter(({ id, gone }) => {
      const there = found.get(id);
      return there === undefined || (there.gone === undefined) !== (gone === undefined);
    })
    .sort((a, b) => byCodeUnit(a.id, b.id));
}

/**
 * The tokens to write, so that exactly those are valid that were: one that an older copy lacks is not lost, and one that was
 * revoked since then does not come back.
 */
export function missingTokens({ tokens }: LossFacts): readonly TokenEdit[] {
  return tokens === undefined ? [] : missing(tokens.known, tokens.found);
}

/** The same of consumers and their keys. */
export function missingConsumers({ consumers }: LossFacts): readonly ConsumerEdit[] {
  return consumers === undefined ? [] : missing(consumers.known, consumers.found);
}

interface Edit<T> {
  readonly name: string;
  readonly etag: string | null;
  readonly record: T | null;
}

function missing<T>(
  known: ReadonlyMap<string, T>,
  found: ReadonlyMap<string, { readonly record: T; readonly etag: string }>,
): readonly Edit<T>[] {
  const names = [...new Set([...known.keys(), ...found.keys()])].sort(byCodeUnit);
  return names.flatMap((name): readonly Edit<T>[] => {
    const [before, now] = [known.get(name), found.get(name)];
    if (JSON.stringify(before) === JSON.stringify(now?.record)) return [];
    return [{ name, etag: now?.etag ?? null, record: before ?? null }];
  });
}

function changedConsumer({ consumers }: LossFacts, { name, record }: ConsumerEdit): readonly PlannedChange[] {
  return changesOfConsumer(name, consumers?.found.get(name)?.record ?? null, record);
}

function changedToken({ name, etag, record }: TokenEdit): PlannedChange {
  const from = etag === null ? 'lost' : record === null ? 'valid' : 'another';
  return {
    service: '',
    instance: null,
    field: `token ${name}`,
    from,
    to: record === null ? 'none' : 'valid',
  };
}

/** That a gateway which has gone is remembered again as such takes nothing away and brings nothing back. */
function regained(facts: LossFacts): readonly PlannedChange[] {
  const { found } = facts.roster;
  return missingGateways(facts)
    .filter(({ id, gone }) => gone === undefined || found.has(id))
    .map(({ id, gone }) => ({
      service: '',
      instance: null,
      field: `gateway ${id}`,
      from: !found.has(id) ? 'lost' : gone === undefined ? 'out of the roster' : 'in the roster',
      to: gone === undefined ? 'in the roster' : 'out of the roster',
    }));
}

/**
 * Service → the events of its history to write back: what people did is kept with what they decided, unless ZooKeeper contains
 * the same.
 */
export function missingHistories(
  known: ReadonlyMap<string, readonly ServiceEvent[]>,
  found: ReadonlyMap<string, { readonly events: readonly ServiceEvent[] }>,
): ReadonlyMap<string, readonly ServiceEvent[]> {
  return new Map(
    [...known].filter(([service, events]) => {
      const there = found.get(service)?.events ?? [];
      return events.length > 0 && JSON.stringify(events) !== JSON.stringify(there);
    }),
  );
}

function sentence({ instance, field, from, to }: PlannedChange): string {
  return `${instance === null ? '' : `${instance} `}${field} ${from || 'none'} → ${to || 'none'}`;
}
