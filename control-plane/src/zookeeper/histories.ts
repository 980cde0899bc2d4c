import { z } from 'zod';
import type { ServiceEvent } from '../model/intent.js';
import type { HistoryStore, StoredHistory, WriteFailure } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { ChildStore } from './child_store.js';
import { etagOf } from './etag.js';
import { eventSchema } from './intent_record.js';
import type { ZooKeeperLink } from './link.js';
import type { TreeNode } from './mirror.js';

/** The store at `<root>/history`, which it creates at the first contact. */
export function createHistoryStore(link: ZooKeeperLink, options: { readonly root: string }): HistoryStore {
  return new TreeHistoryStore(link, 'history', historyFolder(options.root));
}

/** Where the histories are kept. */
export function historyFolder(root: string): string {
  return `${root}/history`;
}

/**
 * A history's bytes stay below this, whatever the events hold: a znode takes 1 MB, with all else in its transaction. 200 events
 * of 1,000 characters are less in every script that takes 3 bytes a character.
 */
const MOST_BYTES = 700_000;

const schema = z.strictObject({ v: z.literal(1), events: z.array(eventSchema) });

/** The bytes of a history; the oldest events go where it would be too large. */
export function encodeHistory(events: readonly ServiceEvent[]): Buffer {
  const bytes = Buffer.from(JSON.stringify({ v: 1, events }), 'utf8');
  return bytes.length <= MOST_BYTES ? bytes : encodeHistory(events.slice(Math.ceil(events.length / 10)));
}

class TreeHistoryStore extends ChildStore<StoredHistory> implements HistoryStore {
  readonly #parsed = new WeakMap<TreeNode, Result<StoredHistory, string>>();

  /** One that cannot be read is begun anew: what people did before is lost, and nothing that is in force. */
  read(service: string): Promise<Result<StoredHistory | null, WriteFailure>> {
    return this.readNewest(service, (node) => {
      const parsed = this.#parse(node);
      return parsed.ok ? parsed : ok({ events: [], etag: etagOf(node) });
    });
  }

  write(): Promise<Result<readonly string[], WriteFailure>> {
    return Promise.resolve(ok([]));
  }

  protected override valuesOf(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, StoredHistory> {
    const parsed = [...children].map(([service, node]) => [service, this.#parse(node)] as const);
    return new Map(parsed.flatMap(([service, one]) => (one.ok ? [[service, one.value] as const] : [])));
  }

  protected override readAll(children: ReadonlyMap<string, TreeNode>): ReadonlyMap<string, StoredHistory> {
    const damaged = new Map<string, string>();
    for (const [service, node] of children) {
      const parsed = this.#parse(node);
      if (!parsed.ok) damaged.set(service, parsed.error);
    }
    this.noteDamage(damaged);
    return this.valuesOf(children);
  }

  #parse(node: TreeNode): Result<StoredHistory, string> {
    const known = this.#parsed.get(node);
    if (known !== undefined) return known;
    const parsed = parseHistory(node);
    this.#parsed.set(node, parsed);
    return parsed;
  }
}

function parseHistory(node: TreeNode): Result<StoredHistory, string> {
  let value: unknown;
  try {
    value = JSON.parse(node.data.toString('utf8'));
  } catch {
    return err('not JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success)
    return ok({ events: (value as { readonly events: readonly ServiceEvent[] }).events, etag: etagOf(node) });
  const [issue] = parsed.error.issues;
  return err(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`);
}
