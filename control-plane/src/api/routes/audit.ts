import { describeRecord, type AuditRecord } from '../../model/audit.js';
import type { ControlPlane } from '../../model/control_plane.js';
import type { Clock } from '../../model/ports.js';
import type { Result } from '../../model/result.js';
import type { Reach } from '../auth/access.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { mutate } from '../mutate.js';
import { absent, Refusal } from '../refusal.js';
import * as schema from '../schema/audit.js';
import * as request from '../schema/requests.js';
import { CHANGED, MUTATION_CODES } from './answers.js';

const tag = 'audit';
const USUAL_LIMIT = 50;

/** Who changed what, when, why and from where; and how a change is taken back. */
export function auditEndpoints(plane: ControlPlane, clock: Pick<Clock, 'wall'>): readonly Endpoint[] {
  const shared = { method: 'get', tag, body: null, codes: ['store_unavailable'] } as const;
  return [
    endpoint({
      ...shared,
      path: '/v1/audit',
      summary: 'Every change that somebody asked for, newest first',
      access: { role: 'viewer', about: 'shown' },
      params: null,
      query: schema.auditQuery,
      answers: { 200: { description: 'The records.', schema: schema.auditPage } },
      handle: async ({ query: { service, actor, verb, since, before, limit } }, { reach }) => {
        const page = read(
          await plane.auditPage({
            ...{ service: service ?? null, actor: actor ?? null, verb: verb ?? null },
            since: since === undefined ? null : momentOf(since, clock.wall()),
            ...{ before: before ?? null, limit: limit ?? USUAL_LIMIT },
          }),
        );
        const seen = page.items.filter((record) => isSeen(record, reach));
        return { body: { items: seen.map(describeRecord), next: page.next } };
      },
    }),
    endpoint({
      ...shared,
      path: '/v1/audit/{record}',
      summary: 'One record',
      access: { role: 'viewer', about: 'named' },
      params: schema.recordParams,
      query: request.noQuery,
      answers: { 200: { description: 'The record.', schema: schema.auditRecord } },
      codes: ['not_found', 'store_unavailable'],
      handle: async ({ params: { record: n } }, { reach }) => {
        const record = read(await plane.auditRecord(n));
        if (record === null || !isSeen(record, reach))
          throw absent(`there is no record ${String(n)}, or none any more`);
        return { body: describeRecord(record) };
      },
    }),
    endpoint({
      method: 'post',
      path: '/v1/audit/{record}/undo',
      tag,
      summary: 'Give what a change touched back what it had before, unless it was changed since',
      // It may bring back whatever anybody had decided, routes among it.
      access: { role: 'admin', about: 'all' },
      params: schema.undoParams,
      query: request.mutationQuery,
      body: schema.undoBody,
      ifMatch: 'optional',
      answers: CHANGED,
      codes: [...MUTATION_CODES, 'idempotency_conflict', 'route_taken'],
      handle: ({ params: { record }, query, body }, exchange) =>
        mutate(
          plane,
          { kind: 'undo', record: record === 'last' ? null : record },
          { ...body, ...query },
          exchange,
        ),
    }),
  ];
}

/** One of no service, or of several, is shown to whoever may see all of them. */
function isSeen({ services }: AuditRecord, reach: Reach): boolean {
  if (reach.seesAll) return true;
  return services.length > 0 && services.every((service) => reach.sees(service));
}

function momentOf(since: string | number, wall: number): number {
  return typeof since === 'number' ? wall - since : Date.parse(since);
}

function read<T>(answer: Result<T, string>): T {
  if (answer.ok) return answer.value;
  const detail = `the records cannot be read from ZooKeeper (${answer.error}); try again`;
  throw new Refusal({ code: 'store_unavailable', detail });
}
