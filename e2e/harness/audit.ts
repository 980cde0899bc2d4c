import { request } from 'undici';
import type { AuditResource } from '../../control-plane/src/testkit.js';

/** Every record that `api` shows, page by page, up to those from before `since` (milliseconds of the wall clock); oldest first. */
export async function auditRecords(api: string, query = '', since = 0): Promise<readonly AuditResource[]> {
  const all: AuditResource[] = [];
  for (let before: number | null = null, first = true; first || before !== null; first = false) {
    const from = before === null ? '' : `&before=${String(before)}`;
    const answer = await request(`${api}/v1/audit?limit=200${query}${from}`);
    const page = (await answer.body.json()) as { items: readonly AuditResource[]; next: number | null };
    all.push(...page.items);
    before = page.items.some(({ at }) => Date.parse(at) < since) ? null : page.next;
  }
  return all.filter(({ at }) => Date.parse(at) >= since).toReversed();
}
