import type { ApiConsumerStore, ConsumerEdit } from '../../model/api_consumer_ports.js';
import type { FreezeStore } from '../../model/freeze_ports.js';
import type { IntentEdit, IntentStore, RosterStore, Term, WriteFailure } from '../../model/ports.js';
import type { ReleaseStore } from '../../model/release_ports.js';
import { ok, type Result } from '../../model/result.js';
import type { TruthRecords } from '../../model/truth_copy.js';
import type { TokenEdit, TokenStore } from '../../model/token_ports.js';
import type { AuditRecord } from '../../model/audit.js';
import type { AuditStore } from '../../model/audit_ports.js';
import { NOT_FROZEN } from '../../model/freeze_ports.js';
import type { Pruned } from '../../plan/prune.js';
import { writeConsumers } from './write_consumers.js';
import { batchesOf, type Present } from '../office/acceptance_edits.js';

/** The stores that a copy is written into. */
export interface CopiedStores {
  readonly intents: IntentStore;
  readonly roster: RosterStore;
  readonly releases: ReleaseStore;
  readonly freezes: FreezeStore;
  readonly tokens: TokenStore;
  readonly apiConsumers: ApiConsumerStore;
  readonly audit: AuditStore;
}

/** What is written besides the records. */
export interface CopiedBeside {
  readonly tokens: readonly TokenEdit[];
  readonly consumers: readonly ConsumerEdit[];
  /** Oldest first. */
  readonly audit: readonly AuditRecord[];
  readonly pruned: Pruned;
}

/** Writes the records of a copy that differ from those that are present, a bounded part in each transaction. What else is there stays, or is pruned. */
export async function writeCopy(
  { intents, roster, releases, freezes, tokens, apiConsumers, audit }: CopiedStores,
  term: Term,
  copy: TruthRecords,
  present: Present,
  beside: CopiedBeside,
): Promise<Result<null, WriteFailure>> {
  for (const edit of beside.tokens) {
    const put = await tokens.write(term, [edit]);
    if (!put.ok) return put;
  }
  const known = await writeConsumers(apiConsumers, term, beside.consumers);
  if (!known.ok) return known;
  for (const entry of copy.roster.values()) {
    if (present.roster.has(entry.id)) continue;
    const put = await roster.write(term, [{ id: entry.id, entry }]);
    if (!put.ok) return put;
  }
  const names = new Set([...copy.intents.keys(), ...copy.histories.keys()]);
  const edits = [...names].flatMap((service) => {
    const [before, there] = [present.intents.get(service), present.histories.get(service)];
    const record = copy.intents.get(service) ?? before?.record;
    const events = copy.histories.get(service);
    const hasOther = events !== undefined && JSON.stringify(events) !== JSON.stringify(there?.events);
    if (record === undefined || (!hasOther && JSON.stringify(record) === JSON.stringify(before?.record)))
      return [];
    const edit = { service, etag: before?.etag ?? null, record };
    return [hasOther ? { ...edit, history: { etag: there?.etag ?? null, events } } : edit];
  });
  for (const batch of batchesOf([...edits, ...removals(beside.pruned, present)])) {
    const written = await intents.write(term, batch);
    if (!written.ok) return written;
  }
  const frozen = await freezes.read('freeze');
  if (!frozen.ok) return frozen;
  if (copy.freeze !== null && JSON.stringify(copy.freeze) !== JSON.stringify(frozen.value?.record)) {
    const written = await freezes.write(term, [{ etag: frozen.value?.etag ?? null, record: copy.freeze }]);
    if (!written.ok) return written;
  }
  if (beside.pruned.freeze && frozen.value !== null) {
    const record = { ...NOT_FROZEN, rev: frozen.value.record.rev + 1, events: frozen.value.record.events };
    const written = await freezes.write(term, [{ etag: frozen.value.etag, record }]);
    if (!written.ok) return written;
  }
  const put = await writeReleases(releases, term, copy, present.releases);
  // Last: it is the longest, and steers nothing.
  return put.ok ? audit.restore(term, beside.audit) : put;
}

/** The edits that remove what is pruned, with their histories. */
function removals({ services }: Pruned, present: Present): readonly IntentEdit[] {
  return [...services].map((service) => {
    const [before, there] = [present.intents.get(service), present.histories.get(service)];
    const edit = { service, etag: before?.etag ?? null, record: null };
    return there === undefined ? edit : { ...edit, history: { etag: there.etag, events: null } };
  });
}

/** Ended releases first, where none runs; then those that run. What is in the history already stays as it is. */
export async function writeReleases(
  releases: ReleaseStore,
  term: Term,
  { ended, releases: current }: Pick<TruthRecords, 'ended' | 'releases'>,
  running: ReadonlySet<string>,
): Promise<Result<null, WriteFailure>> {
  const shown = await releases.peek();
  if (!shown.ok) return { ok: false, error: { kind: 'unavailable', reason: shown.error } };
  for (const record of ended) {
    const { service, n } = record;
    const there = shown.value.get(service);
    if (running.has(service) || (there?.last_n ?? 0) >= n) continue;
    const written = await releases.write(term, [{ service, etag: null, current: null, archive: record }]);
    if (!written.ok && written.error.kind !== 'conflict') return written;
  }
  for (const record of current.values()) {
    const { service } = record;
    if (running.has(service)) continue;
    const written = await releases.write(term, [{ service, etag: null, current: record, archive: null }]);
    if (!written.ok) return written;
  }
  return ok(null);
}
