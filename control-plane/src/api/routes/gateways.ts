import * as z from 'zod';
import type { ControlPlane } from '../../model/control_plane.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { mutate } from '../mutate.js';
import { absent } from '../refusal.js';
import { name } from '../schema/atoms.js';
import * as request from '../schema/requests.js';
import * as resource from '../schema/resources.js';
import { CHANGED, MUTATION_CODES } from './answers.js';

const tag = 'gateways';
const params = z.strictObject({ gateway: name('gateway') });

/** The gateways that must be heard before anything counts as drained. */
export function gatewayEndpoints(plane: ControlPlane): readonly Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/v1/gateways',
      tag,
      summary: 'All gateways',
      access: { role: 'viewer', about: 'all' },
      params: null,
      query: request.noQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The gateways, by id.', schema: resource.gateways } },
      handle: () => ({
        body: { items: plane.gateways(), never_heard: plane.neverHeard(), contract: plane.contract() },
      }),
    }),
    endpoint({
      method: 'get',
      path: '/v1/gateways/{gateway}',
      tag,
      summary: 'One gateway',
      access: { role: 'viewer', about: 'all' },
      params,
      query: request.noQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The gateway.', schema: resource.gateway } },
      codes: ['not_found'],
      handle: ({ params: { gateway } }) => {
        const body = plane.gateways().find((candidate) => candidate.id === gateway);
        if (!body) throw absent(`there is no gateway ${gateway}`);
        return { body };
      },
    }),
    endpoint({
      method: 'post',
      path: '/v1/gateways/forgets',
      tag,
      summary: 'Leave several silent gateways out of every proof, and names that were never heard',
      access: { role: 'operator', about: 'all' },
      params: null,
      query: request.mutationQuery,
      body: request.forgetManyBody,
      ifMatch: 'optional',
      answers: CHANGED,
      codes: [...MUTATION_CODES, 'idempotency_conflict'],
      handle: ({ query, body: { gateways = [], never_heard = false, reason } }, exchange) =>
        mutate(plane, { kind: 'forget_gateways', gateways, never_heard }, { reason, ...query }, exchange),
    }),
    roster(
      plane,
      'forget',
      'Leave a silent gateway out of every proof: a person vouches that it is gone',
      request.forgetBody,
    ),
    roster(
      plane,
      'leave',
      'Sent by whatever stopped the gateway, once its last worker is gone',
      request.reasonBody,
    ),
    roster(
      plane,
      'join',
      'Sent before a gateway serves from its disk, cut off from Redis: every drain waits for it from now on',
      request.reasonBody,
    ),
  ];
}

function roster(
  plane: ControlPlane,
  verb: 'forget' | 'leave' | 'join',
  summary: string,
  body: typeof request.forgetBody | typeof request.reasonBody,
): Endpoint {
  return endpoint({
    method: 'post',
    path: `/v1/gateways/{gateway}/${verb}`,
    tag,
    summary,
    // A gateway may say that it has gone; that another one has, only a person vouches for.
    access:
      verb === 'forget'
        ? { role: 'operator', about: 'all' }
        : { role: 'operator', about: 'gateway', also: 'gateway' },
    params,
    query: request.mutationQuery,
    body,
    ifMatch: 'optional',
    answers: CHANGED,
    codes: [...MUTATION_CODES, 'idempotency_conflict'],
    handle: ({ params: { gateway }, query, body: given }, exchange) =>
      mutate(plane, { kind: `${verb}_gateway`, gateway }, { ...given, ...query }, exchange),
  });
}
