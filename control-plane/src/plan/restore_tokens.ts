import type { PlannedChange } from '../model/mutation.js';
import type { TokenRecord } from '../model/token.js';
import type { StoredToken, TokenEdit } from '../model/token_ports.js';
import { byCodeUnit } from './encode.js';
import type { Revocation } from './restore_audit.js';

/*
 * Which tokens are valid after a copy was brought back. A token that is known to be revoked never is, however old the copy; the
 * difference names each one, and shows nothing of what proves it.
 */

export interface TokenFacts {
  /** Null: the copy has no tokens. */
  readonly copied: ReadonlyMap<string, TokenRecord> | null;
  /** What ZooKeeper contains. */
  readonly found: ReadonlyMap<string, StoredToken>;
  /** What was valid before a loss that this controller has seen: exactly that stays valid. Null: it has seen none. */
  readonly before: ReadonlyMap<string, StoredToken> | null;
  /** ZooKeeper has lost data: what it contains may be older than a revocation. */
  readonly isLost: boolean;
  readonly revoked: ReadonlyMap<string, Revocation>;
  /** What the copy has not is removed. */
  readonly prune: boolean;
}

export interface RestoredTokens {
  /** Those that are valid from then on. */
  readonly valid: ReadonlyMap<string, TokenRecord>;
  readonly edits: readonly TokenEdit[];
  readonly changes: readonly PlannedChange[];
}

export function restoredTokens(facts: TokenFacts): RestoredTokens {
  const { copied, found, before } = facts;
  const names = new Set([
    ...(copied ?? new Map<string, never>()).keys(),
    ...found.keys(),
    ...(before ?? new Map<string, never>()).keys(),
  ]);
  const valid = new Map<string, TokenRecord>();
  const certificates = new Set([...found.values()].flatMap(({ record }) => record.certificate ?? []));
  const edits: TokenEdit[] = [];
  const changes: PlannedChange[] = [];
  for (const name of [...names].sort(byCodeUnit)) {
    const there = found.get(name);
    const present = there?.record;
    const copy = copied?.get(name);
    const decided = decide(name, present, copy, facts);
    const { certificate = null } = decided.record ?? {};
    const isTaken =
      certificate !== null && present?.certificate !== certificate && certificates.has(certificate);
    const { record, left } = isTaken
      ? { record: present, left: 'its certificate is that of another token' }
      : decided;
    if (certificate !== null) certificates.add(certificate);
    if (record !== undefined) valid.set(name, record);
    if (left !== null) changes.push(line(name, `${spell(copy)}: ${left}`, 'left out'));
    if (JSON.stringify(record) === JSON.stringify(present)) continue;
    edits.push({ name, etag: there?.etag ?? null, record: record ?? null });
    const isAnother = record !== undefined && spell(record) === spell(present);
    changes.push(line(name, spell(present), isAnother ? `another one, ${spell(record)}` : spell(record)));
  }
  return { valid, edits, changes };
}

/** What is valid from then on under a name, and why what the copy has is not, where that has to be said. */
function decide(
  name: string,
  present: TokenRecord | undefined,
  copy: TokenRecord | undefined,
  { copied, before, isLost, revoked, prune }: TokenFacts,
): { readonly record: TokenRecord | undefined; readonly left: string | null } {
  if (before !== null) {
    const record = before.get(name)?.record;
    const isLeft = copy !== undefined && record === undefined;
    return { record, left: isLeft ? 'it was not valid any more before the loss' : null };
  }
  const revocation = revoked.get(`token ${name}`);
  const isOver = (record: TokenRecord | undefined): boolean =>
    record !== undefined && revocation !== undefined && Date.parse(record.at) <= Date.parse(revocation.at);
  // Without a loss ZooKeeper is right about what is valid.
  const kept = isLost && isOver(present) ? undefined : present;
  if (copy !== undefined && isOver(copy)) {
    const { at = '', by = '' } = revocation ?? {};
    const isThere = kept !== undefined && JSON.stringify(kept) === JSON.stringify(copy);
    return { record: kept, left: isThere ? null : `it was revoked by ${by} at ${at}` };
  }
  if (copy === undefined) return { record: prune && copied !== null ? undefined : kept, left: null };
  const isNewer = kept === undefined || Date.parse(kept.at) < Date.parse(copy.at);
  return { record: isNewer ? copy : kept, left: null };
}

function spell(token: TokenRecord | undefined): string {
  return token === undefined ? 'none' : `${token.role} of ${token.scope}`;
}

function line(name: string, from: string, to: string): PlannedChange {
  return { service: '', instance: null, field: `token ${name}`, from, to };
}
