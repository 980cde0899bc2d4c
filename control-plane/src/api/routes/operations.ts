import * as z from 'zod';
import type { ControlPlane } from '../../model/control_plane.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { mutate } from '../mutate.js';
import type { OperationResource } from '../../model/resources.js';
import type { Reach } from '../auth/access.js';
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
      access: { role: 'viewer', about: 'shown' },
      params: null,
      query: request.noQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The operations.', schema: resource.operations } },
      handle: (_, { reach }) => ({
        body: { items: plane.operations().filter((one) => isSeen(one, reach)) },
      }),
    }),
    endpoint({
      method: 'get',
      path: '/v1/operations/{operation}',
      tag,
      summary: 'One operation and what it waits for; `wait` ends when it is done',
      access: { role: 'viewer', about: 'named' },
      params,
      query: request.waitQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The state at the end of the wait.', schema: resource.operation } },
      codes: ['not_found'],
      handle: async ({ params: { operation }, query }, exchange) => {
        const state = await wait(
          () => seen(plane, operation, exchange.reach),
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
      access: { role: 'operator', about: 'named' },
      params,
      query: request.mutationQuery,
      body: request.reasonBody,
      ifMatch: 'optional',
      answers: CHANGED,
      codes: [...MUTATION_CODES, 'idempotency_conflict'],
      handle: ({ params: { operation }, query, body }, exchange) => {
        // What is not known at all, the controller refuses.
        if (!exchange.reach.seesAll) seen(plane, operation, exchange.reach);
        return mutate(plane, { kind: 'cancel_operation', id: operation }, { ...body, ...query }, exchange);
      },
    }),
  ];
}

/** One of several services is shown to whoever may see all of them. */
function isSeen({ instances }: OperationResource, reach: Reach): boolean {
  return reach.seesAll || instances.every(({ service }) => reach.sees(service));
}

function seen(plane: ControlPlane, id: string, reach: Reach): OperationResource {
  const found = plane.operation(id);
  if (found && isSeen(found, reach)) return found;
  throw absent(`there is no operation ${id}; old ones are forgotten`);
}
