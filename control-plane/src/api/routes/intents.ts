import type { ControlPlane } from '../../model/control_plane.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import * as request from '../schema/requests.js';
import * as resource from '../schema/resources.js';

/** Everything an operator has changed, in one list. */
export function intentEndpoints(plane: ControlPlane): readonly Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/v1/intents',
      tag: 'intents',
      summary: 'Everything drained, isolated, weighted, shared or frozen: who, why, since, until',
      params: null,
      query: request.noQuery,
      body: null,
      view: true,
      answers: {
        200: { description: 'What people want of services and instances.', schema: resource.intents },
      },
      handle: () => ({ body: { items: plane.intents() } }),
    }),
  ];
}
