import { checkName } from '../model/names.js';
import type { Term, WriteFailure } from '../model/ports.js';
import type { ReleaseRecord, ServiceReleases, StoredRelease } from '../model/release.js';
import type { ReleaseEdit, ReleaseStore } from '../model/release_ports.js';
import { err, ok, type Result } from '../model/result.js';
import { ChildStore } from './child_store.js';
import { etagOf, versionIn } from './etag.js';
import { fence, fenceFailure } from './fence.js';
import type { ZooKeeperLink } from './link.js';
import type { TreeNode } from './mirror.js';
import type { Committed, NodeStat, TransactionOperation } from './protocol.js';
import type { Reading } from './reader.js';
import { encodeReleaseRecord, parseReleaseRecord } from './release_record.js';

/** How many ended releases a service keeps. */
export const KEPT_HISTORY = 10;

/** The store at `<root>/releases`, which it creates at the first contact. */
export function createReleaseStore(link: ZooKeeperLink, options: { readonly root: string }): ReleaseStore {
  return new TreeReleaseStore(link, options.root);
}

/** `<service>/current` is the lock and the running release, `<service>/history/<n>` what has ended. */
function readingOf(names: readonly string[]): Reading {
  const [, kind] = names;
  if (names.length <= 1) return 'list';
  if (names.length === 2) return kind === 'current' ? 'data' : kind === 'history' ? 'list' : 'ignore';
  return names.length === 3 && kind === 'history' ? 'data' : 'ignore';
}

/** Of one transaction; ZooKeeper ends the connection of whoever sends a MiB. */
const MOST_BYTES = 1_000_000;
const NOTHING = Buffer.alloc(0);
const NONE: ServiceReleases = { current: null, history: [] };

class TreeReleaseStore extends ChildStore<ServiceReleases> implements ReleaseStore {
  readonly #root: string;
  readonly #parsed = new WeakMap<TreeNode, Result<StoredRelease, string>>();

  constructor(link: ZooKeeperLink, root: string) {
    super(link, 'releases', `${root}/releases`, readingOf);
    this.#root = root;
  }

  /** Of the running release. */
  override pathOf(service: string): string {
    return `${this.#folderOf(service)}/current`;
  }

  /** What has ended is only history: a service goes on without it. */
  protected override recordOf(name: string): string | null {
    const [service = '', kind = 'current'] = name.split('/');
    return kind === 'current' ? service : null;
  }

  #folderOf(service: string): string {
    return super.pathOf(service);
  }

  async write(
    term: Term,
    [edit]: readonly ReleaseEdit[],
  ): Promise<Result<readonly (string | null)[], WriteFailure>> {
    if (edit === undefined) return ok([]);
    const { service } = edit;
    const { connection } = this.link;
    if (connection === null) return err({ kind: 'unavailable', reason: 'no connection to ZooKeeper' });
    const steps = this.#stepsOf(edit);
    if (steps === null) return err({ kind: 'conflict', service });
    const wrong = unfit(edit, steps);
    if (wrong !== null) return err({ kind: 'unavailable', reason: `${service}: ${wrong}` });
    const answer = await connection.transaction([fence(this.#root, term), ...steps]);
    if (answer.ok) {
      this.#takeIn(edit, steps, answer.value);
      const node = edit.current && this.tree.get(this.pathOf(service));
      return ok([node ? etagOf(node) : null]);
    }
    const failure = fenceFailure(answer.error);
    if (failure !== null) return err(failure);
    const { kind, message } = answer.error;
    if (kind === 'bad_version' || kind === 'node_exists' || kind === 'no_node')
      return err({ kind: 'conflict', service });
    return err({ kind: 'unavailable', reason: `${service}: ${message}` });
  }

  async read(service: string): Promise<Result<StoredRelease | null, WriteFailure>> {
    return this.readNewest(service, (node) => this.#parse(service, node));
  }

  /** The operations after the fence; null if it is plain that the etag is of another node. */
  #stepsOf(edit: ReleaseEdit): readonly TransactionOperation[] | null {
    const folder = this.#folderOf(edit.service);
    const path = this.pathOf(edit.service);
    const steps: TransactionOperation[] = [];
    // A create answers without a stat, so the data is set in a second step, whose stat makes the etag.
    const make = (missing: string, data: Buffer): void => {
      steps.push(
        { kind: 'create', path: missing, data: NOTHING },
        { kind: 'set', path: missing, data, version: 0 },
      );
    };
    for (const above of [folder, `${folder}/history`])
      if (this.tree.get(above) === undefined) make(above, NOTHING);
    if (edit.archive) {
      make(`${folder}/history/${String(edit.archive.n)}`, encodeReleaseRecord(edit.archive));
      for (const old of this.#surplus(edit)) steps.push({ kind: 'remove', path: old, version: -1 });
    }
    const data = edit.current ? encodeReleaseRecord(edit.current) : null;
    if (edit.etag === null) {
      if (data !== null) make(path, data);
      return steps;
    }
    const version = versionIn(edit.etag, this.tree.get(path));
    if (version === null) return null;
    return [
      ...steps,
      data === null ? { kind: 'remove', path, version } : { kind: 'set', path, data, version },
    ];
  }

  /** Where the oldest releases stand that go when another one comes. */
  #surplus({ service }: ReleaseEdit): readonly string[] {
    const history = this.shown?.get(service)?.history ?? [];
    const paths = history.map((one) => `${this.#folderOf(service)}/history/${String(one.n)}`);
    return paths
      .slice(0, Math.max(0, paths.length + 1 - KEPT_HISTORY))
      .filter((path) => this.tree.get(path) !== undefined);
  }

  /** Shows what was written before anybody can ask for it. */
  #takeIn(edit: ReleaseEdit, steps: readonly TransactionOperation[], committed: Committed): void {
    for (const [index, step] of steps.entries()) {
      const stat = committed.stats[index + 1] as NodeStat | null;
      if (step.kind === 'set' && stat) this.tree.put(step.path, { ...stat, data: step.data });
      if (step.kind === 'remove') this.tree.drop(step.path, committed.zxid);
    }
    if (this.shown === null) return;
    const before = this.shown.get(edit.service) ?? NONE;
    const path = this.pathOf(edit.service);
    const node = edit.current ? this.tree.get(path) : undefined;
    const parsed = node ? this.#parse(edit.service, node) : null;
    const current = parsed?.ok === true ? parsed.value : null;
    const history = edit.archive ? [...before.history, edit.archive].slice(-KEPT_HISTORY) : before.history;
    const last_n = Math.max(before.last_n ?? 0, edit.archive?.n ?? 0);
    this.show(new Map(this.shown).set(edit.service, { current, history, last_n }));
  }

  protected override valuesOf(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, ServiceReleases> {
    return this.#sort(children).found;
  }

  protected override readAll(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, ServiceReleases> {
    const { found, damaged } = this.#sort(children);
    this.noteDamage(damaged);
    const last = (service: string) =>
      (damaged.has(service) ? this.shown?.get(service)?.current : null) ?? null;
    return new Map(
      [...found].map(([service, { current, history, last_n }]) => [
        service,
        this.#unchanged(service, { current: current ?? last(service), history, last_n }),
      ]),
    );
  }

  /** What can be read, by service, and what is wrong with a running release that cannot. */
  #sort(children: ReadonlyMap<string, TreeNode>) {
    const found = new Map<
      string,
      { current: StoredRelease | null; history: ReleaseRecord[]; last_n: number }
    >();
    const damaged = new Map<string, string>();
    for (const [name, node] of children) {
      const [service = '', kind, n] = name.split('/');
      if (kind === undefined || !checkName('service', service).ok) continue;
      const entry = found.get(service) ?? { current: null, history: [], last_n: 0 };
      found.set(service, entry);
      if (kind === 'history' && n === undefined) continue;
      // By its name: whatever it holds, its place is taken.
      if (kind === 'history' && /^\d{1,9}$/.test(n ?? '')) entry.last_n = Math.max(entry.last_n, Number(n));
      const parsed = this.#parse(service, node);
      if (parsed.ok && kind === 'current') entry.current = parsed.value;
      else if (parsed.ok) entry.history.push(parsed.value.record);
      else if (kind === 'current') damaged.set(service, parsed.error);
    }
    for (const name of this.refused.keys()) {
      const [service = '', kind, n] = name.split('/');
      const entry = found.get(service);
      if (entry && kind === 'history' && /^\d{1,9}$/.test(n ?? ''))
        entry.last_n = Math.max(entry.last_n, Number(n));
    }
    for (const entry of found.values()) entry.history.sort((a, b) => a.n - b.n);
    return { found, damaged };
  }

  /** What was shown before if it is the same, so that listeners hear only of changes. */
  #unchanged(service: string, now: ServiceReleases): ServiceReleases {
    const before = this.shown?.get(service);
    const same =
      before?.last_n === now.last_n &&
      before?.current?.etag === now.current?.etag &&
      before?.history.map((one) => one.id).join() === now.history.map((one) => one.id).join();
    return same ? before : now;
  }

  #parse(service: string, node: TreeNode): Result<StoredRelease, string> {
    const known = this.#parsed.get(node);
    if (known !== undefined) return known;
    const record = parseReleaseRecord(node.data);
    const parsed = record.ok ? ok({ service, record: record.value, etag: etagOf(node) }) : record;
    this.#parsed.set(node, parsed);
    return parsed;
  }
}

/** Why `steps` must not be sent, or null: what could not be read back would stop its release for good. */
function unfit({ current, archive }: ReleaseEdit, steps: readonly TransactionOperation[]): string | null {
  const bytes = steps.reduce((sum, step) => sum + ('data' in step ? step.data.length : 0), 0);
  if (bytes > MOST_BYTES)
    return `the record would be ${String(bytes)} bytes, and ZooKeeper takes ${String(MOST_BYTES)}: use smaller batches`;
  for (const record of [current, archive]) {
    const parsed = record ? parseReleaseRecord(encodeReleaseRecord(record)) : ok(null);
    if (!parsed.ok) return `the record could not be read back (${parsed.error})`;
  }
  return null;
}
