import * as z from 'zod';
import type { ControlPlane } from '../../model/control_plane.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { name } from '../schema/atoms.js';
import * as resource from '../schema/resources.js';

const query = z.strictObject({
  service: name('service').optional().meta({ description: 'Only those of this service.' }),
});

/** Everything that is wrong now, in one list. */
export function problemEndpoints(plane: ControlPlane): readonly Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/v1/problems',
      tag: 'problems',
      summary: 'Everything that is wrong now: what, where, since when, how to correct it',
      access: { role: 'viewer', about: 'shown', also: 'registrar' },
      params: null,
      query,
      body: null,
      view: true,
      answers: { 200: { description: 'The problems.', schema: resource.standingProblems } },
      handle: ({ query: { service } }, { reach }) => {
        const items = plane
          .problems()
          .filter((one) => (one.service === null ? reach.seesAll : reach.sees(one.service)));
        return {
          body: { items: service === undefined ? items : items.filter((one) => one.service === service) },
        };
      },
    }),
  ];
}
