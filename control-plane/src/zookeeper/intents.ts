import type { StoredIntent } from '../model/intent.js';
import type { IntentEdit, IntentStore, Term, WriteFailure } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { ChildStore } from './child_store.js';
import { etagOf, versionIn } from './etag.js';
import { fence, fenceFailure } from './fence.js';
import { encodeHistory, historyFolder } from './histories.js';
import { encodeIntentRecord, parseIntentRecord } from './intent_record.js';
import type { ZooKeeperLink } from './link.js';
import type { TreeNode } from './mirror.js';
import type { Committed, NodeStat, TransactionOperation } from './protocol.js';

/** The store at `<root>/intents`, which it creates at the first contact. */
export function createIntentStore(link: ZooKeeperLink, options: { readonly root: string }): IntentStore {
  return new TreeIntentStore(link, options.root);
}

class TreeIntentStore extends ChildStore<StoredIntent> implements IntentStore {
  readonly #root: string;
  readonly #parsed = new WeakMap<TreeNode, Result<StoredIntent, string>>();

  constructor(link: ZooKeeperLink, root: string) {
    super(link, 'intents', `${root}/intents`);
    this.#root = root;
  }

  async write(term: Term, edits: readonly IntentEdit[]): Promise<Result<readonly string[], WriteFailure>> {
    const { connection } = this.link;
    if (connection === null) return err({ kind: 'unavailable', reason: 'no connection to ZooKeeper' });
    const operations: TransactionOperation[] = [fence(this.#root, term)];
    /** For each operation, which edit it belongs to. */
    const owners = [-1];
    for (const [index, edit] of edits.entries()) {
      const steps = this.#stepsOf(edit);
      const also = this.#historyOf(edit);
      if (steps === null || also === null) return err({ kind: 'conflict', service: edit.service });
      // The record last: its stat makes the etag.
      operations.push(...also, ...steps);
      owners.push(...[...also, ...steps].map(() => index));
    }
    const answer = await connection.transaction(operations);
    if (answer.ok) return ok(this.#takeIn(edits, owners, answer.value));
    const failure = fenceFailure(answer.error);
    if (failure !== null) return err(failure);
    const { kind, message } = answer.error;
    const operation = 'operation' in answer.error ? (answer.error.operation ?? 0) : 0;
    const edit = edits[owners[operation] ?? -1];
    const gone = kind === 'no_node' && edit?.etag !== null;
    if (edit !== undefined && (kind === 'bad_version' || kind === 'node_exists' || gone))
      return err({ kind: 'conflict', service: edit.service });
    return err({ kind: 'unavailable', reason: `${edit?.service ?? this.#root}: ${message}` });
  }

  async read(service: string): Promise<Result<StoredIntent | null, WriteFailure>> {
    return this.readNewest(service, (node) => this.#parse(service, node));
  }

  /** The operations of one edit; null if it is plain that its etag is of another node. */
  #stepsOf(edit: IntentEdit): readonly TransactionOperation[] | null {
    const path = this.pathOf(edit.service);
    const data = encodeIntentRecord(edit.record);
    // A create answers without a stat, so the data is set in a second step, whose stat makes the etag.
    if (edit.etag === null)
      return [
        { kind: 'create', path, data: Buffer.alloc(0) },
        { kind: 'set', path, data, version: 0 },
      ];
    const version = versionIn(edit.etag, this.tree.get(path));
    return version === null ? null : [{ kind: 'set', path, data, version }];
  }

  #historyOf({ service, history }: IntentEdit): readonly TransactionOperation[] | null {
    if (history === undefined) return [];
    const path = `${historyFolder(this.#root)}/${service}`;
    const data = encodeHistory(history.events);
    if (history.etag === null) return [{ kind: 'create', path, data }];
    const version = versionIn(history.etag, undefined);
    return version === null ? null : [{ kind: 'set', path, data, version }];
  }

  /** Shows what was written before anybody can ask for it. */
  #takeIn(edits: readonly IntentEdit[], owners: readonly number[], committed: Committed): readonly string[] {
    const shown = this.shown === null ? null : new Map(this.shown);
    const stored = edits.map((edit, index) => {
      const stat = committed.stats[owners.lastIndexOf(index)] as NodeStat;
      const node: TreeNode = { ...stat, data: encodeIntentRecord(edit.record) };
      const intent = { service: edit.service, record: edit.record, etag: etagOf(stat) };
      this.#parsed.set(node, ok(intent));
      if (this.tree.put(this.pathOf(edit.service), node)) shown?.set(edit.service, intent);
      return intent.etag;
    });
    if (shown !== null) this.show(shown);
    return stored;
  }

  protected override valuesOf(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, StoredIntent> {
    const parsed = [...children].map(([service, node]) => this.#parse(service, node));
    return new Map(parsed.flatMap((one) => (one.ok ? [[one.value.service, one.value] as const] : [])));
  }

  protected override readAll(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, StoredIntent> {
    const intents = new Map<string, StoredIntent>();
    const damaged = new Map<string, string>();
    for (const [service, node] of children) {
      const parsed = this.#parse(service, node);
      const last = this.shown?.get(service);
      if (parsed.ok) intents.set(service, parsed.value);
      else damaged.set(service, parsed.error);
      if (!parsed.ok && last !== undefined) intents.set(service, last);
    }
    this.noteDamage(damaged);
    return intents;
  }

  #parse(service: string, node: TreeNode): Result<StoredIntent, string> {
    const known = this.#parsed.get(node);
    if (known !== undefined) return known;
    const record = parseIntentRecord(node.data);
    const parsed = record.ok ? ok({ service, record: record.value, etag: etagOf(node) }) : record;
    this.#parsed.set(node, parsed);
    return parsed;
  }
}
