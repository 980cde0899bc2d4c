import { z } from 'zod';
import type { RosterEntry } from '../model/gateway.js';
import type { RosterEdit, RosterStore, Term, WriteFailure } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { ChildStore } from './child_store.js';
import { fence, fenceFailure } from './fence.js';
import type { ZooKeeperLink } from './link.js';
import type { TreeNode } from './mirror.js';
import type { Committed, TransactionOperation } from './protocol.js';

/** The roster at `<root>/gateways`, which it creates at the first contact. */
export function createRosterStore(link: ZooKeeperLink, options: { readonly root: string }): RosterStore {
  return new TreeRosterStore(link, options.root);
}

const entrySchema = z.object({
  boot: z.string(),
  host: z.string(),
  since: z.string(),
  gone: z.object({ at: z.string(), how: z.enum(['left', 'forgotten']) }).optional(),
});
/** A write may find the entry there, or gone, against what was known: then the other way is tried. */
const ATTEMPTS = 3;

class TreeRosterStore extends ChildStore<RosterEntry> implements RosterStore {
  readonly #root: string;

  constructor(link: ZooKeeperLink, root: string) {
    super(link, 'roster', `${root}/gateways`);
    this.#root = root;
  }

  read(id: string): Promise<Result<RosterEntry | null, WriteFailure>> {
    return this.readNewest(id, (node) => ok(this.#entryOf(id, node) ?? this.#unread(id, node.ctime)));
  }

  async write(
    term: Term,
    edits: readonly RosterEdit[],
  ): Promise<Result<readonly (string | null)[], WriteFailure>> {
    for (const { id, entry } of edits) {
      const written = await (entry ? this.#put(term, entry) : this.#remove(term, id));
      if (!written.ok) return written;
    }
    return ok(edits.map(() => null));
  }

  async #put(term: Term, entry: RosterEntry): Promise<Result<void, WriteFailure>> {
    const path = this.pathOf(entry.id);
    const data = Buffer.from(JSON.stringify(entry));
    let exists = this.tree.get(path) !== undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const set: TransactionOperation = { kind: 'set', path, data, version: -1 };
      const create: TransactionOperation = { kind: 'create', path, data: Buffer.alloc(0) };
      const written = await this.#commit(term, exists ? [set] : [create, set]);
      if (written.ok) {
        const stat = written.value.stats.at(-1);
        if (stat) this.tree.put(path, { ...stat, data });
        if (this.shown !== null) this.show(new Map(this.shown).set(entry.id, entry));
        return ok(undefined);
      }
      if (written.error !== 'exists' && written.error !== 'missing') return err(written.error);
      if (written.error === 'missing' && !exists)
        return err({ kind: 'unavailable', reason: `${this.#root}/gateways does not exist` });
      exists = written.error === 'exists';
    }
    return err({ kind: 'conflict' });
  }

  async #remove(term: Term, id: string): Promise<Result<void, WriteFailure>> {
    const path = this.pathOf(id);
    let written = await this.#commit(term, [{ kind: 'remove', path, version: -1 }]);
    // It is gone already; the fence still decides whether this controller may say so.
    if (!written.ok && written.error === 'missing') written = await this.#commit(term, []);
    if (!written.ok) return err(typeof written.error === 'string' ? { kind: 'conflict' } : written.error);
    this.tree.drop(path, written.value.zxid);
    if (this.shown === null) return ok(undefined);
    const left = new Map(this.shown);
    left.delete(id);
    this.show(left);
    return ok(undefined);
  }

  async #commit(
    term: Term,
    operations: readonly TransactionOperation[],
  ): Promise<Result<Committed, WriteFailure | 'exists' | 'missing'>> {
    const { connection } = this.link;
    if (connection === null) return err({ kind: 'unavailable', reason: 'no connection to ZooKeeper' });
    const answer = await connection.transaction([fence(this.#root, term), ...operations]);
    if (answer.ok) return answer;
    const failure = fenceFailure(answer.error);
    if (failure !== null) return err(failure);
    if (answer.error.kind === 'node_exists') return err('exists');
    if (answer.error.kind === 'no_node') return err('missing');
    return err({ kind: 'unavailable', reason: answer.error.message });
  }

  protected override valuesOf(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, RosterEntry> {
    return new Map(
      [...children].map(([id, node]) => [id, this.#entryOf(id, node) ?? this.#unread(id, node.ctime)]),
    );
  }

  protected override readAll(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, RosterEntry> {
    const bad = [...children].filter(([id, node]) => this.#entryOf(id, node) === null);
    this.noteDamage(new Map(bad.map(([id]) => [id, 'it is no JSON object with boot, host and since'])));
    const entries = new Map(this.valuesOf(children));
    for (const id of this.refused.keys())
      if (!entries.has(id)) entries.set(id, this.#unread(id, this.link.clock.wall()));
    return entries;
  }

  #entryOf(id: string, node: TreeNode): RosterEntry | null {
    try {
      const { gone, ...entry } = entrySchema.parse(JSON.parse(node.data.toString('utf8')));
      return { id, ...entry, ...(gone === undefined ? {} : { gone }) };
    } catch {
      return null;
    }
  }

  /** An entry that cannot be read still counts: its gateway must be heard before anything is drained. */
  #unread(id: string, since: number): RosterEntry {
    return this.shown?.get(id) ?? { id, boot: '', host: '', since: new Date(since).toISOString() };
  }
}
