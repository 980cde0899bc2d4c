import type { ApiConsumerStore } from '../../model/api_consumer_ports.js';
import { AUDIT_BOUNDS, boundedEntry, type AuditBounds } from '../../model/audit.js';
import type { AuditEntry, AuditRecord } from '../../model/audit.js';
import type { AuditStore } from '../../model/audit_ports.js';
import type { FreezeStore } from '../../model/freeze_ports.js';
import type {
  HistoryStore,
  IntentStore,
  Office,
  PresentTerm,
  RosterStore,
  Term,
  TruthStore,
  WriteFailure,
} from '../../model/ports.js';
import type { ReleaseStore } from '../../model/release_ports.js';
import type { TokenStore } from '../../model/token_ports.js';
import { err, ok, type Result } from '../../model/result.js';
import { MemoryAudit } from './audit.js';
import {
  CONSUMERS,
  FREEZES,
  HISTORIES,
  INTENTS,
  RELEASES,
  ROSTER,
  TOKENS,
  presentEtag,
  type Noun,
  type Row,
  type Write,
} from './truth_nouns.js';
import { MemoryStore } from './truth_store.js';

/**
 * The store of the truth in memory: what every controller that opens stores of it shares. It fences, refuses, loses and
 * damages as the real one does, at once and in the order of the calls.
 */
export class MemoryTruth {
  /** While it is not null, every read and write is unavailable for this reason, and nothing is applied. */
  away: string | null = null;
  readonly #rows = new Map<string, Map<string, Row>>();
  readonly #stores = new Set<MemoryStore<unknown, never, unknown>>();
  #term: (Term & { readonly owner: string }) | null = null;
  #writes = 0;
  #greatest = 0;
  /** Every record, oldest first. */
  readonly records: AuditRecord[] = [];

  office(owner: string): Office {
    return {
      take: (floor) => {
        if (this.away !== null) return Promise.resolve(err({ kind: 'unavailable', reason: this.away }));
        const epoch = Math.max((this.#term?.epoch ?? 0) + 1, floor);
        this.#term = { epoch, version: (this.#term?.version ?? 0) + 1, owner };
        return Promise.resolve(ok({ epoch, version: this.#term.version }));
      },
      present: (): Promise<Result<PresentTerm | null, WriteFailure>> => {
        if (this.away !== null) return Promise.resolve(err({ kind: 'unavailable', reason: this.away }));
        if (this.#term === null) return Promise.resolve(ok(null));
        const { owner: present, ...term } = this.#term;
        return Promise.resolve(ok({ ...term, ours: present === owner }));
      },
      isPresent: ({ epoch, version }) => {
        if (this.away !== null) return Promise.resolve(err({ kind: 'unavailable', reason: this.away }));
        return Promise.resolve(ok(this.#term?.epoch === epoch && this.#term.version === version));
      },
    };
  }

  intents(): IntentStore {
    return this.#open(INTENTS);
  }
  histories(): HistoryStore {
    return this.#open(HISTORIES);
  }
  roster(): RosterStore {
    return this.#open(ROSTER);
  }
  freezes(): FreezeStore {
    return this.#open(FREEZES);
  }
  tokens(): TokenStore {
    return this.#open(TOKENS);
  }
  apiConsumers(): ApiConsumerStore {
    return this.#open(CONSUMERS);
  }
  releases(): ReleaseStore {
    return this.#open(RELEASES);
  }

  audit(bounds: AuditBounds = AUDIT_BOUNDS): AuditStore {
    return new MemoryAudit(this, bounds);
  }

  goOnAfter(n: number): void {
    this.#greatest = Math.max(this.#greatest, n);
  }

  /** Somebody writes a record by hand. */
  write(noun: string, name: string, value: unknown): void {
    this.#put(noun, name, { value, etag: this.#newEtag(), damage: null });
    this.#changed(noun);
  }

  /** Somebody writes nonsense into a record. */
  damage(noun: string, name: string): void {
    this.#put(noun, name, { value: null, etag: this.#newEtag(), damage: 'not JSON' });
    this.#changed(noun);
  }

  /** Everything in it is gone, as after the loss of its disk; terms go on. */
  wipe(): void {
    this.#rows.clear();
    for (const store of this.#stores) store.lose('the store of the truth was created anew');
  }

  rowsOf(noun: string): ReadonlyMap<string, Row> {
    return this.#rows.get(noun) ?? new Map();
  }

  /** Makes all writes or none. */
  commit(
    term: Term,
    writes: readonly Write[],
    entry?: AuditEntry,
  ): Result<ReadonlyMap<Write, string | null>, WriteFailure> {
    if (this.away !== null) return err({ kind: 'unavailable', reason: this.away });
    if (this.#term?.version !== term.version) return err({ kind: 'fenced' });
    const refused = writes.find(({ noun, name, etag }) => {
      const row = this.rowsOf(noun).get(name);
      return etag !== undefined && etag !== presentEtag(row);
    });
    if (refused) return err({ kind: 'conflict', name: refused.name });
    if (entry) {
      const n = Math.max(this.records.at(-1)?.n ?? 0, this.#greatest) + 1;
      this.records.push({ n, ...boundedEntry(entry) });
    }
    const etags = new Map<Write, string | null>();
    for (const write of writes) {
      if (write.value === null) this.#rows.get(write.noun)?.delete(write.name);
      else this.#put(write.noun, write.name, { value: write.value, etag: this.#newEtag(), damage: null });
      etags.set(write, presentEtag(this.rowsOf(write.noun).get(write.name)));
    }
    for (const noun of new Set(writes.map((write) => write.noun))) this.#changed(noun);
    return ok(etags);
  }

  #open<Shown, Edit, Stored>(noun: Noun<Shown, Edit, Stored>): TruthStore<Shown, Edit, Stored> {
    const store = new MemoryStore(this, noun, () => this.#stores.delete(store as never));
    this.#stores.add(store as never);
    return store;
  }

  #put(noun: string, name: string, row: Row): void {
    const rows = this.#rows.get(noun) ?? new Map<string, Row>();
    this.#rows.set(noun, rows.set(name, row));
  }

  #changed(noun: string): void {
    for (const store of this.#stores) if (store.noun === noun) store.look();
  }

  #newEtag(): string {
    this.#writes += 1;
    return `m-${String(this.#writes)}`;
  }
}
