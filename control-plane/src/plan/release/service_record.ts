import type { IntentRecord, ServiceEvent } from '../../model/intent.js';
import { isPersons } from '../../model/people.js';
import type { ReleaseRecord, Shares } from '../../model/release.js';
import type { IntentResource } from '../../model/resources.js';
import { sharesText } from '../diff.js';
import { spellAuthor } from '../layers.js';
import { revise } from '../record.js';
import { isByWeights, spellShares } from './shares.js';

/*
 * A release as its service shows it: among the events, among what people want of it, and in its own record once it is over.
 */

/** What people did to a release, as events of its service: `release_started`, `release_promoted`. */
export function eventsOfPeople({ id, events }: ReleaseRecord): readonly ServiceEvent[] {
  return events.filter(isPersons).map(({ at, event, by, message }) => {
    return { at, event: `release_${event}`, by, message: `${id}: ${message}` };
  });
}

/** A running release as a line of what people have changed. Who paused it is who keeps it as it is. */
export function describeAsIntent(record: ReleaseRecord): IntentResource {
  const { id, service, stable, target, strategy, shares, paused } = record;
  const steers = isByWeights(shares) ? strategy.kind.replaceAll('_', ' ') : sharesText(shares);
  const common = { service, instance: null, kind: 'release' as const, until: null };
  const value = `${id} ${stable} → ${target} (${steers})${paused ? ', paused' : ''}`;
  if (paused?.cause === 'person')
    return { ...common, value, by: paused.by, reason: paused.message, since: record.since };
  return { ...common, value, by: record.by, reason: record.reason, since: record.at };
}

/** The record of the service with the shares of a release that ends: by who decided last where it goes, not by the controller. */
export function sharesOfRelease(
  record: IntentRecord,
  release: ReleaseRecord,
  { shares, fallback }: { readonly shares: Shares; readonly fallback: string | null },
  wall: number,
): IntentRecord {
  const { id, reason, message } = release;
  const by = release.events.findLast(isPersons)?.by ?? release.by;
  const at = new Date(wall).toISOString();
  const before = record.versions_by;
  const set = `${sharesText(record.versions)}${before === undefined ? '' : ` ${spellAuthor(before)}`}`;
  const replaced = Object.keys(record.versions).length === 0 ? '' : `; replaces ${set}`;
  const started =
    by === release.by ? `started by ${release.by}` : `started by ${release.by}, moved last by ${by}`;
  const event: ServiceEvent = {
    ...{ at, event: 'shares_changed', by },
    message: `shares set to ${spellShares(shares)} by release ${id} (${started}): ${message}${replaced}`,
  };
  const why = `release ${id}${reason === '' ? '' : `: ${reason}`}`;
  return revise(record, { versions: shares, fallback, versions_by: { by, reason: why, at } }, [event]);
}
