import type { ControlPlane } from '../../model/control_plane.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { mutate } from '../mutate.js';
import { Refusal } from '../refusal.js';
import * as request from '../schema/requests.js';
import { CHANGED, MUTATION_CODES } from './answers.js';

const tag = 'copies';

/** What is decided, as one document, and how a copy of it is brought back. */
export function copyEndpoints(plane: ControlPlane): readonly Endpoint[] {
  const shared = { tag, params: null } as const;
  return [
    endpoint({
      ...shared,
      method: 'get',
      path: '/v1/export',
      summary: 'Everything that was decided, as one document; each record is consistent in itself',
      access: { role: 'admin', about: 'all' },
      query: request.exportQuery,
      body: null,
      codes: ['not_ready'],
      answers: { 200: { description: 'The document, docs/reference/export.md.' } },
      handle: async ({ query: { tokens = false } }) => {
        const document = await plane.copy({ tokens });
        if (!document.ok) throw new Refusal({ code: 'not_ready', detail: document.error });
        return { text: { type: 'application/json; charset=utf-8', content: document.value } };
      },
    }),
    endpoint({
      ...shared,
      method: 'post',
      path: '/v1/restore',
      summary: 'Bring back a copy that a controller has kept; ends a data loss',
      access: { role: 'admin', about: 'all' },
      query: request.mutationQuery,
      body: request.restoreBody,
      ifMatch: 'optional',
      answers: CHANGED,
      codes: MUTATION_CODES,
      handle: ({ query, body: { from, which = 'newest', reason, diff = null } }, exchange) => {
        const mutation = { kind: 'restore_copy', from, which, document: null, diff, prune: false } as const;
        return mutate(plane, mutation, { reason, ...query }, exchange);
      },
    }),
    endpoint({
      ...shared,
      method: 'post',
      path: '/v1/import',
      summary: 'Bring back what was exported; ends a data loss',
      access: { role: 'admin', about: 'all' },
      query: request.mutationQuery,
      body: request.importBody,
      ifMatch: 'optional',
      large: true,
      answers: CHANGED,
      codes: MUTATION_CODES,
      handle: ({ query, body: { document, reason, diff = null, prune = false } }, exchange) => {
        const from = { from: 'document', which: 'newest' } as const;
        const mutation = { kind: 'restore_copy', ...from, document, diff, prune } as const;
        return mutate(plane, mutation, { reason, ...query }, exchange);
      },
    }),
  ];
}
