import type { ControlPlane } from '../../model/control_plane.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { mutate } from '../mutate.js';
import * as request from '../schema/requests.js';
import { CHANGED, kept, MUTATION_CODES, STARTED } from './answers.js';

const tag = 'selections';
const codes = [...MUTATION_CODES, 'idempotency_conflict'] as const;

/** The verbs on whatever a selector finds, across services: a version, a zone, a whole host. */
export function selectionEndpoints(plane: ControlPlane): readonly Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/v1/drains',
      tag,
      summary: 'Drain every instance that the selector finds, as one operation',
      access: { role: 'operator', about: 'selector' },
      params: null,
      query: request.mutationQuery,
      body: request.drainsBody,
      ifMatch: 'optional',
      answers: STARTED,
      codes,
      handle: ({ query, body }, exchange) =>
        mutate(
          plane,
          {
            kind: 'drain',
            selector: body.selector,
            timeout_ms: body.timeout ?? null,
            on_timeout: body.on_timeout ?? 'wait',
            ...kept(body.keep_sticky),
          },
          { ...body, ...query },
          exchange,
        ),
    }),
    verb(
      plane,
      'undrain',
      'Give drained and cut instances that the selector finds back',
      request.undrainsBody,
    ),
    verb(
      plane,
      'isolate',
      'Take what the selector finds out at once, with requests still open',
      request.isolatesBody,
    ),
    verb(plane, 'restore', 'Give isolated instances that the selector finds back', request.undrainsBody),
  ];
}

function verb(
  plane: ControlPlane,
  kind: 'undrain' | 'isolate' | 'restore',
  summary: string,
  body: typeof request.undrainsBody | typeof request.isolatesBody,
): Endpoint {
  return endpoint({
    method: 'post',
    path: `/v1/${kind}s`,
    tag,
    summary,
    access: { role: 'operator', about: 'selector' },
    params: null,
    query: request.mutationQuery,
    body,
    ifMatch: 'optional',
    answers: CHANGED,
    codes,
    handle: ({ query, body: given }, exchange) =>
      mutate(plane, { kind, selector: given.selector }, { ...given, ...query }, exchange),
  });
}
