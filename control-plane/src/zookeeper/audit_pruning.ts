import { surplusPages, type AuditBounds } from '../model/audit.js';
import { numbered, numbers, type AuditLog } from './audit_log.js';
import type { ZooKeeperConnection } from './connection.js';
import { ANY, type NodeChange } from './fence.js';

/** How many nodes of the ring of one service go at once. */
const MOST_AT_ONCE = 2_000;

/**
 * Has `remove` take away what is more than the bounds say: at the most a page of the log, a page of what undoes, and the surplus
 * of one ring. What could not be read or removed goes another time.
 */
export async function pruneAudit(
  connection: ZooKeeperConnection,
  log: AuditLog,
  remove: (gone: readonly NodeChange[]) => Promise<{ readonly ok: boolean }>,
): Promise<void> {
  const { all, undo, page } = log.bounds;
  for (const [name, most] of [
    ['log', all],
    ['undo', undo],
  ] as const) {
    const surplus = await surplusPage(connection, `${log.folder}/${name}`, { all: most, page });
    if (surplus.length > 0) await remove(surplus);
  }
  const [service] = log.grown();
  if (service === undefined) return;
  const ring = await surplusOf(connection, log, service);
  if (ring.length === 0 || (await remove(ring)).ok) log.looked(service);
}

/** What goes of the oldest page, if there are more records than are kept. */
async function surplusPage(
  connection: ZooKeeperConnection,
  folder: string,
  bounds: Pick<AuditBounds, 'all' | 'page'>,
): Promise<readonly NodeChange[]> {
  const pages = await connection.getChildren(folder);
  if (!pages.ok) return [];
  const [oldest] = surplusPages(numbers(pages.value.names), bounds);
  if (oldest === undefined) return [];
  const path = `${folder}/${numbered(oldest)}`;
  const records = await connection.getChildren(path);
  if (!records.ok) return [];
  return [...records.value.names.map((name) => `${path}/${name}`), path].map(removal);
}

/** What goes of the ring of one service. */
async function surplusOf(
  connection: ZooKeeperConnection,
  log: AuditLog,
  service: string,
): Promise<readonly NodeChange[]> {
  const ring = await connection.getChildren(`${log.folder}/services/${service}`);
  if (!ring.ok) return [];
  const all = numbers(ring.value.names);
  const surplus = all.slice(0, Math.max(0, all.length - log.bounds.service)).slice(0, MOST_AT_ONCE);
  return surplus.map((n) => removal(log.pathIn(service, n)));
}

function removal(path: string): NodeChange {
  return { path, data: null, etag: ANY, name: path };
}
