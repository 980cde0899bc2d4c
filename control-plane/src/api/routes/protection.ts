import * as z from 'zod';
import type { ControlPlane } from '../../model/control_plane.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { mutate } from '../mutate.js';
import { name } from '../schema/atoms.js';
import * as request from '../schema/requests.js';
import * as ready from '../schema/readiness.js';
import { CHANGED, MUTATION_CODES } from './answers.js';

const tag = 'protection';
const params = z.strictObject({ service: name('service') });

/** Why nothing expires now, or null. */
function whyNothingExpires(plane: ControlPlane): string | null {
  const { state, detail } = plane.readiness().clock;
  return state === 'in_sync' ? null : detail;
}

/** What is suspended until a person has decided, and the decision. */
export function protectionEndpoints(plane: ControlPlane): readonly Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/v1/protection',
      tag,
      summary:
        'Whether a data loss of ZooKeeper waits for a person, and which services keep lost instances for now',
      access: { role: 'viewer', about: 'shown' },
      params: null,
      query: request.noQuery,
      body: null,
      answers: { 200: { description: 'What is suspended, and why.', schema: ready.protection } },
      handle: (_, { reach }) => ({
        body: {
          data_loss: plane.readiness().data_loss,
          expiry_suspended: whyNothingExpires(plane),
          services: plane
            .services()
            .filter(({ service }) => reach.sees(service))
            .flatMap(({ service, protection, holds }) =>
              protection === null && holds.length === 0 ? [] : [{ service, protection, holds }],
            ),
        },
      }),
    }),
    endpoint({
      method: 'post',
      path: '/v1/protection/accept_data_loss',
      tag,
      summary: 'Say that what ZooKeeper contains after a data loss is right; refused while there is none',
      access: { role: 'admin', about: 'all' },
      params: null,
      query: request.mutationQuery,
      body: request.acceptBody,
      ifMatch: 'optional',
      answers: CHANGED,
      codes: [...MUTATION_CODES, 'no_data_loss', 'idempotency_conflict'],
      handle: ({ query, body: { reason, keep_intents = false } }, exchange) =>
        mutate(plane, { kind: 'accept_data_loss', keep_intents }, { reason, ...query }, exchange),
    }),
    endpoint({
      method: 'post',
      path: '/v1/services/{service}/hold',
      tag,
      summary:
        'Say that instances that vanished, or will vanish, live: none of them is removed until it expires',
      access: { role: 'operator', about: 'service' },
      params,
      query: request.mutationQuery,
      body: request.holdBody,
      ifMatch: 'optional',
      answers: CHANGED,
      codes: [...MUTATION_CODES, 'idempotency_conflict'],
      handle: ({ params: { service }, query, body }, exchange) =>
        mutate(plane, { kind: 'hold', service }, { ...body, ...query }, exchange),
    }),
    endpoint({
      method: 'post',
      path: '/v1/services/{service}/accept',
      tag,
      summary:
        'Say that the instances that vanished and are kept are gone, even if none is left; ends a hold. One that registers again is another',
      access: { role: 'operator', about: 'service' },
      params,
      query: request.mutationQuery,
      body: request.acceptLossBody,
      ifMatch: 'optional',
      answers: CHANGED,
      codes: [...MUTATION_CODES, 'idempotency_conflict'],
      handle: ({ params: { service }, query, body }, exchange) =>
        mutate(plane, { kind: 'accept', service }, { ...body, ...query }, exchange),
    }),
  ];
}
