import type { AuditEntry } from '../../model/audit.js';
import type { Term, TruthStore, WriteFailure } from '../../model/ports.js';
import { err, ok, type Result } from '../../model/result.js';
import type { Noun, Row, Write } from './truth_nouns.js';

/** What a store has to do with. */
export interface Rows {
  readonly away: string | null;
  rowsOf(noun: string): ReadonlyMap<string, Row>;
  commit(
    term: Term,
    writes: readonly Write[],
    entry?: AuditEntry,
  ): Result<ReadonlyMap<Write, string | null>, WriteFailure>;
}

/** One store of one controller. `forget` is called when it is closed. */
export class MemoryStore<Shown, Edit, Stored> implements TruthStore<Shown, Edit, Stored> {
  readonly noun: string;
  readonly #truth: Rows;
  readonly #how: Noun<Shown, Edit, Stored>;
  readonly #forget: () => void;
  readonly #listeners: ((shown: ReadonlyMap<string, Shown>) => void)[] = [];
  readonly #decoded = new Map<Row, Shown>();
  #shown: ReadonlyMap<string, Shown> = new Map();
  #damaged: ReadonlyMap<string, string> = new Map();
  #loss: string | null = null;
  #started = false;

  constructor(truth: Rows, how: Noun<Shown, Edit, Stored>, forget: () => void) {
    this.noun = how.noun;
    this.#truth = truth;
    this.#how = how;
    this.#forget = forget;
  }

  start(): Promise<void> {
    this.#started = true;
    this.look();
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.#started = false;
    this.#forget();
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
  onChange(listener: (shown: ReadonlyMap<string, Shown>) => void): void {
    this.#listeners.push(listener);
  }
  damaged(): ReadonlyMap<string, string> {
    return this.#damaged;
  }
  pathOf(name: string): string {
    return `/memory/${this.noun}/${name}`;
  }
  problem(): null {
    return null;
  }
  loss(): string | null {
    return this.#loss;
  }
  acceptDataLoss(): void {
    if (this.#loss === null) return;
    this.#loss = null;
    this.#shown = new Map();
    this.look();
  }
  peek(): Promise<Result<ReadonlyMap<string, Shown>, string>> {
    const { away } = this.#truth;
    return Promise.resolve(away === null ? ok(this.#read(new Map()).shown) : err(away));
  }

  read(name: string): Promise<Result<Stored | null, WriteFailure>> {
    const { away } = this.#truth;
    if (away !== null) return Promise.resolve(err({ kind: 'unavailable', reason: away }));
    const row = this.#truth.rowsOf(this.noun).get(name);
    if (row === undefined) return Promise.resolve(ok(null));
    if (row.damage === null) return Promise.resolve(ok(this.#how.stored(name, row)));
    if (this.#how.substitute) return Promise.resolve(ok(this.#how.substitute(name, row)));
    const reason = `the record at ${this.pathOf(name)} is damaged: ${row.damage}`;
    return Promise.resolve(err({ kind: 'unavailable', reason }));
  }

  write(
    term: Term,
    edits: readonly Edit[],
    entry?: AuditEntry,
  ): Promise<Result<readonly (string | null)[], WriteFailure>> {
    const rows = this.#truth.rowsOf(this.noun);
    const writes = edits.map((edit) => this.#how.writes(edit, (name) => rows.get(name)));
    const done = this.#truth.commit(term, writes.flat(), entry);
    return Promise.resolve(done.ok ? ok(writes.map(([own]) => done.value.get(own) ?? null)) : done);
  }

  lose(reason: string): void {
    if (this.#started) this.#loss ??= reason;
  }

  /** Takes in what is there now, unless it has lost something. */
  look(): void {
    if (!this.#started || this.#loss !== null) return;
    const { shown, damaged } = this.#read(this.#shown);
    this.#damaged = damaged;
    this.#shown = shown;
    for (const listener of this.#listeners) listener(shown);
  }

  #read(last: ReadonlyMap<string, Shown>) {
    const shown = new Map<string, Shown>();
    const damaged = new Map<string, string>();
    for (const [name, row] of this.#truth.rowsOf(this.noun)) {
      const one = this.#decoded.get(row) ?? this.#how.show(name, row, last.get(name));
      if (row.damage !== null) damaged.set(name, row.damage);
      if (one === null) continue;
      if (row.damage === null) this.#decoded.set(row, one);
      shown.set(name, one);
    }
    return { shown, damaged };
  }
}
