import type { ControlPlane } from '../../model/ports.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import * as request from '../schema/requests.js';
import * as resource from '../schema/resources.js';

/** Everything an operator has changed, in one list. */
export function overrideEndpoints(plane: ControlPlane): readonly Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/v1/overrides',
      tag: 'overrides',
      summary: 'Everything drained, isolated, weighted, shared or frozen: who, why, since, until',
      params: null,
      query: request.noQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The overrides.', schema: resource.overrides } },
      handle: () => ({ body: { items: plane.overrides() } }),
    }),
  ];
}
