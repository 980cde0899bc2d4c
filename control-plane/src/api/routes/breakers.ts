import * as z from 'zod';
import type { ControlPlane } from '../../model/control_plane.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { mutate } from '../mutate.js';
import { name } from '../schema/atoms.js';
import * as request from '../schema/requests.js';
import { CHANGED, MUTATION_CODES } from './answers.js';

/** Forcing the breaker of a service. */
export function breakerEndpoints(plane: ControlPlane): readonly Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/v1/services/{service}/breaker',
      tag: 'services',
      summary: 'Leave the service alone (`open`), never do (`closed`), or let each gateway decide (`auto`)',
      access: { role: 'operator', about: 'service' },
      params: z.strictObject({ service: name('service') }),
      query: request.mutationQuery,
      body: request.breakerBody,
      ifMatch: 'optional',
      answers: CHANGED,
      codes: [...MUTATION_CODES, 'idempotency_conflict'],
      handle: ({ params: { service }, query, body: { state, ...given } }, exchange) =>
        mutate(plane, { kind: 'breaker', service, state }, { ...given, ...query }, exchange),
    }),
  ];
}
