import { z } from 'zod';
import type { FreezeEdit, FreezeStore, GlobalFreeze, StoredFreeze } from '../model/freeze_ports.js';
import type { Term, WriteFailure } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { ChildStore } from './child_store.js';
import { etagOf, versionIn } from './etag.js';
import { fence, fenceFailure } from './fence.js';
import { eventSchema, freezeSchema } from './intent_record.js';
import type { ZooKeeperLink } from './link.js';
import type { TreeNode } from './mirror.js';
import type { TransactionOperation } from './protocol.js';

/** The store at `<root>/global/freeze`; it creates `<root>/global` at the first contact. */
export function createFreezeStore(link: ZooKeeperLink, options: { readonly root: string }): FreezeStore {
  return new TreeFreezeStore(link, options.root);
}

const NAME = 'freeze';
const recordSchema = z.strictObject({
  v: z.literal(1),
  rev: z.int().min(0),
  freeze: freezeSchema.nullable(),
  events: z.array(eventSchema),
});

class TreeFreezeStore extends ChildStore<StoredFreeze> implements FreezeStore {
  readonly #root: string;
  readonly #parsed = new WeakMap<TreeNode, Result<StoredFreeze, string>>();

  constructor(link: ZooKeeperLink, root: string) {
    super(link, 'freezes', `${root}/global`);
    this.#root = root;
  }

  read(name: string): Promise<Result<StoredFreeze | null, WriteFailure>> {
    return this.readNewest(name, (node) => this.#parse(node));
  }

  async write(term: Term, [edit]: readonly FreezeEdit[]): Promise<Result<readonly string[], WriteFailure>> {
    if (edit === undefined) return ok([]);
    const { etag, record } = edit;
    const { connection } = this.link;
    if (connection === null) return err({ kind: 'unavailable', reason: 'no connection to ZooKeeper' });
    const path = this.pathOf(NAME);
    const data = Buffer.from(JSON.stringify(record), 'utf8');
    const version = etag === null ? 0 : versionIn(etag, this.tree.get(path));
    if (version === null) return err({ kind: 'conflict' });
    const set: TransactionOperation = { kind: 'set', path, data, version };
    const create: TransactionOperation = { kind: 'create', path, data: Buffer.alloc(0) };
    const steps = etag === null ? [create, set] : [set];
    const answer = await connection.transaction([fence(this.#root, term), ...steps]);
    if (!answer.ok) {
      const failure = fenceFailure(answer.error);
      if (failure !== null) return err(failure);
      const { kind, message } = answer.error;
      if (kind === 'bad_version' || kind === 'node_exists' || kind === 'no_node')
        return err({ kind: 'conflict' });
      return err({ kind: 'unavailable', reason: message });
    }
    const stat = answer.value.stats.at(-1);
    if (!stat) return ok([]);
    // Shown before anybody can ask for it.
    const node: TreeNode = { ...stat, data };
    const stored = { record, etag: etagOf(stat) };
    this.#parsed.set(node, ok(stored));
    if (this.tree.put(path, node) && this.shown !== null) this.show(new Map([[NAME, stored]]));
    return ok([stored.etag]);
  }

  protected override valuesOf(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, StoredFreeze> {
    const node = children.get(NAME);
    const parsed = node && this.#parse(node);
    return new Map(parsed?.ok === true ? [[NAME, parsed.value]] : []);
  }

  protected override readAll(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, StoredFreeze> {
    const node = children.get(NAME);
    const parsed = node && this.#parse(node);
    const damaged = new Map(parsed?.ok === false ? [[NAME, parsed.error]] : []);
    this.noteDamage(damaged);
    return this.valuesOf(children);
  }

  #parse(node: TreeNode): Result<StoredFreeze, string> {
    const known = this.#parsed.get(node);
    if (known !== undefined) return known;
    const parsed = parseRecord(node);
    this.#parsed.set(node, parsed);
    return parsed;
  }
}

function parseRecord(node: TreeNode): Result<StoredFreeze, string> {
  let value: unknown;
  try {
    value = JSON.parse(node.data.toString('utf8'));
  } catch {
    return err('not JSON');
  }
  const parsed = recordSchema.safeParse(value);
  // The schema only checks: what was read is what is handed on, member for member.
  if (parsed.success) return ok({ record: value as GlobalFreeze, etag: etagOf(node) });
  const [issue] = parsed.error.issues;
  return err(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`);
}
