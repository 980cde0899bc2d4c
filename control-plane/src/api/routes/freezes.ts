import * as z from 'zod';
import type { ControlPlane } from '../../model/control_plane.js';
import type { Mutation } from '../../model/mutation.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { mutate } from '../mutate.js';
import { name } from '../schema/atoms.js';
import * as request from '../schema/requests.js';
import { CHANGED, MUTATION_CODES } from './answers.js';

const params = z.strictObject({ service: name('service') });

/** Freezing the releases of one service, or of all. */
export function freezeEndpoints(plane: ControlPlane): readonly Endpoint[] {
  const shared = {
    method: 'post',
    tag: 'freezes',
    query: request.mutationQuery,
    ifMatch: 'optional',
  } as const;
  const answers = { answers: CHANGED, codes: [...MUTATION_CODES, 'idempotency_conflict'] } as const;
  const ofService = (kind: 'freeze' | 'unfreeze', summary: string, body: Body): Endpoint =>
    endpoint({
      ...shared,
      ...answers,
      path: `/v1/services/{service}/${kind}`,
      summary,
      access: { role: 'operator', about: 'service' },
      params,
      body,
      handle: ({ params: { service }, query, body: given }, exchange) =>
        mutate(plane, { kind, service }, { ...given, ...query }, exchange),
    });
  const ofAll = (verb: 'freeze' | 'unfreeze', summary: string, body: Body): Endpoint => {
    const mutation: Mutation = { kind: `${verb}_all` };
    return endpoint({
      ...shared,
      ...answers,
      path: `/v1/${verb}`,
      summary,
      access: { role: 'operator', about: 'all' },
      params: null,
      body,
      handle: ({ query, body: given }, exchange) => mutate(plane, mutation, { ...given, ...query }, exchange),
    });
  };
  return [
    ofService(
      'freeze',
      'Let no release of the service start, and no step begin; going back goes on',
      request.freezeBody,
    ),
    ofService('unfreeze', 'Let its releases go on', request.reasonBody),
    ofAll('freeze', 'Freeze the releases of all services', request.freezeBody),
    ofAll('unfreeze', 'Take the freeze of all services back; their own stay', request.reasonBody),
  ];
}

type Body = typeof request.freezeBody | typeof request.reasonBody;
