import * as z from 'zod';
import type { ControlPlane } from '../../model/control_plane.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { mutate } from '../mutate.js';
import { absent } from '../refusal.js';
import * as request from '../schema/requests.js';
import * as resource from '../schema/resources.js';
import type { Wait } from '../wait.js';
import { CHANGED, MUTATION_CODES } from './answers.js';

const tag = 'operations';
const params = z.strictObject({
  operation: z.string().regex(/^[A-Za-z0-9._-]{1,128}$/, 'must be an id as the API gave it'),
});

/** What takes longer than a request: drains, until they are proven or given up. */
export function operationEndpoints(plane: ControlPlane, wait: Wait): readonly Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/v1/operations',
      tag,
      summary: 'The operations, newest first',
      params: null,
      query: request.noQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The operations.', schema: resource.operations } },
      handle: () => ({ body: { items: plane.operations() } }),
    }),
    endpoint({
      method: 'get',
      path: '/v1/operations/{operation}',
      tag,
      summary: 'One operation and what it waits for; `wait` ends when it is done',
      params,
      query: request.waitQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The state at the end of the wait.', schema: resource.operation } },
      codes: ['not_found'],
      handle: async ({ params: { operation }, query }, exchange) => {
        const state = await wait(
          () => {
            const found = plane.operation(operation);
            if (!found) throw absent(`there is no operation ${operation}; old ones are forgotten`);
            return found;
          },
          (now) => now.state === 'done',
          query.wait ?? 0,
          exchange.signal,
        );
        return { body: state };
      },
    }),
    endpoint({
      method: 'post',
      path: '/v1/operations/{operation}/cancel',
      tag,
      summary: 'Cancel it: it ends as `cancelled`',
      params,
      query: request.mutationQuery,
      body: request.reasonBody,
      ifMatch: 'optional',
      answers: CHANGED,
      codes: [...MUTATION_CODES, 'idempotency_conflict'],
      handle: ({ params: { operation }, query, body }, exchange) =>
        mutate(plane, { kind: 'cancel_operation', id: operation }, { ...body, ...query }, exchange),
    }),
  ];
}
