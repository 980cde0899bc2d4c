import * as z from 'zod';
import type { ControlPlane } from '../../model/control_plane.js';
import type { Mutation } from '../../model/mutation.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { mutate } from '../mutate.js';
import { absent } from '../refusal.js';
import { name } from '../schema/atoms.js';
import * as request from '../schema/requests.js';
import * as resource from '../schema/resources.js';
import { CHANGED, ETAG, kept, MUTATION_CODES, STARTED } from './answers.js';

const tag = 'instances';
const params = z.strictObject({ service: name('service') });
const one = z.strictObject({ service: name('service'), instance: name('instance') });
const PATH = '/v1/services/{service}/instances/{instance}';

/** The instances of a service: registered, decided, in force and why; and the verbs on one of them. */
export function instanceEndpoints(plane: ControlPlane): readonly Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/v1/services/{service}/instances',
      tag,
      summary: 'The instances of a service',
      access: { role: 'viewer', about: 'service' },
      params,
      query: request.noQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The instances, by id.', schema: resource.instances } },
      codes: ['not_found'],
      handle: ({ params: { service } }) => {
        const items = plane.instances(service);
        if (!items) throw absent(`there is no service ${service}`);
        return { body: { items } };
      },
    }),
    endpoint({
      method: 'get',
      path: PATH,
      tag,
      summary: 'One instance',
      access: { role: 'viewer', about: 'service', also: 'registrar' },
      params: one,
      query: request.noQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The instance.', schema: resource.instance, headers: ETAG } },
      codes: ['not_found'],
      handle: ({ params: { service, instance } }) => {
        const body = plane.instance(service, instance);
        if (!body) throw absent(`service ${service} has no instance ${instance}`);
        return { headers: { ETag: `"${plane.service(service)?.etag ?? '0'}"` }, body };
      },
    }),
    endpoint({
      method: 'patch',
      path: PATH,
      tag,
      summary: 'Set the weight of one instance, or whether it is a backup',
      access: { role: 'operator', about: 'service' },
      params: one,
      query: request.mutationQuery,
      body: request.instancePatch,
      ifMatch: 'required',
      answers: CHANGED,
      codes: MUTATION_CODES,
      handle: ({ params: { service, instance }, query, body }, exchange) =>
        mutate(
          plane,
          {
            kind: 'set_weights',
            service,
            weights: body.weight === undefined ? {} : { [instance]: body.weight },
            ...(body.backup === undefined ? {} : { backups: { [instance]: body.backup } }),
          },
          { ...body, ...query },
          exchange,
        ),
    }),
    endpoint({
      method: 'post',
      path: `${PATH}/drain`,
      tag,
      summary: 'Drain it: no new request; the operation says when the last one is gone',
      access: { role: 'operator', about: 'service' },
      params: one,
      query: request.mutationQuery,
      body: request.drainBody,
      ifMatch: 'optional',
      answers: STARTED,
      codes: [...MUTATION_CODES, 'idempotency_conflict'],
      handle: ({ params: { service, instance }, query, body }, exchange) =>
        mutate(
          plane,
          {
            kind: 'drain',
            selector: { service, ids: [instance] },
            timeout_ms: body.timeout ?? null,
            on_timeout: body.on_timeout ?? 'wait',
            ...kept(body.keep_sticky),
          },
          { ...body, ...query },
          exchange,
        ),
    }),
    verb(plane, 'undrain', 'Give it back after a drain or a cut', request.instanceBody),
    verb(plane, 'isolate', 'Take it out at once, with requests still open', request.isolateBody),
    verb(plane, 'restore', 'Give it back after an isolation', request.instanceBody),
  ];
}

function verb(
  plane: ControlPlane,
  kind: Extract<Mutation, { kind: 'undrain' | 'isolate' | 'restore' }>['kind'],
  summary: string,
  body: typeof request.instanceBody | typeof request.isolateBody,
): Endpoint {
  return endpoint({
    method: 'post',
    path: `${PATH}/${kind}`,
    tag,
    summary,
    access: { role: 'operator', about: 'service' },
    params: one,
    query: request.mutationQuery,
    body,
    ifMatch: 'optional',
    answers: CHANGED,
    codes: [...MUTATION_CODES, 'idempotency_conflict'],
    handle: ({ params: { service, instance }, query, body: given }, exchange) =>
      mutate(plane, { kind, selector: { service, ids: [instance] } }, { ...given, ...query }, exchange),
  });
}
