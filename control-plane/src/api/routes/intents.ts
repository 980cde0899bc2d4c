import type { ControlPlane } from '../../model/control_plane.js';
import type { IntentResource } from '../../model/resources.js';
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
      access: { role: 'viewer', about: 'shown' },
      params: null,
      query: request.intentsQuery,
      body: null,
      view: true,
      answers: {
        200: { description: 'What people want of services and instances.', schema: resource.intents },
      },
      handle: ({ query: { expiring } }, { reach }) => {
        const all = plane.intents().filter(({ service }) => reach.sees(service));
        return { body: { items: expiring === true ? endingByThemselves(all) : all } };
      },
    }),
  ];
}

/** Those that end by themselves, the next one first. */
function endingByThemselves(all: readonly IntentResource[]): readonly IntentResource[] {
  const until = (one: IntentResource): number => Date.parse(one.until ?? '') || Infinity;
  return all.filter((one) => one.until !== null).toSorted((a, b) => until(a) - until(b));
}
