import * as z from 'zod';
import type { ControlPlane } from '../../model/control_plane.js';
import type { ServiceResource } from '../../model/resources.js';
import type { SpecPatch } from '../../model/mutation.js';
import { endpoint, type Endpoint, type Reply } from '../endpoint.js';
import { mutate } from '../mutate.js';
import { absent, Refusal } from '../refusal.js';
import { followedName, name, publishedName } from '../schema/atoms.js';
import * as request from '../schema/requests.js';
import * as resource from '../schema/resources.js';
import * as sets from '../schema/sets.js';
import type { Wait } from '../wait.js';
import { CHANGED, ETAG, MUTATION_CODES } from './answers.js';

const tag = 'services';
const params = z.strictObject({ service: name('service') });
const published = z.strictObject({ service: publishedName });
const followed = z.strictObject({ service: followedName });

/** The services: what they are, what was decided for them, what is published, who follows. */
export function serviceEndpoints(plane: ControlPlane, wait: Wait): readonly Endpoint[] {
  return [...readEndpoints(plane, wait), ...patchEndpoints(plane)];
}

function readEndpoints(plane: ControlPlane, wait: Wait): readonly Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/v1/services',
      tag,
      summary: 'All services',
      access: { role: 'viewer', about: 'shown' },
      params: null,
      query: request.noQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The services, by name.', schema: resource.services } },
      handle: (_, { reach }) => ({
        body: { items: plane.services().filter(({ service }) => reach.sees(service)) },
      }),
    }),
    endpoint({
      method: 'get',
      path: '/v1/services/{service}',
      tag,
      summary: 'One service',
      access: { role: 'viewer', about: 'service' },
      params,
      query: request.noQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The service.', schema: resource.service, headers: ETAG } },
      codes: ['not_found'],
      handle: ({ params: { service } }) => withEtag(found(plane.service(service), service)),
    }),
    endpoint({
      method: 'get',
      path: '/v1/services/{service}/set',
      tag,
      summary: 'The published set, as the gateways read it (also of `@routes`)',
      access: { role: 'viewer', about: 'service' },
      params: published,
      query: request.noQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The set.', schema: sets.set } },
      codes: ['not_found'],
      handle: ({ params: { service } }) => ({ body: foundSet(plane.set(service), service) }),
    }),
    endpoint({
      method: 'get',
      path: '/v1/services/{service}/convergence',
      tag,
      summary:
        'Which gateways follow the published set (also of `@routes` and `@keys`); `wait` ends when all do',
      access: { role: 'viewer', about: 'service' },
      params: followed,
      query: request.waitQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The state at the end of the wait.', schema: resource.convergence } },
      codes: ['not_found'],
      handle: async ({ params: { service }, query }, exchange) => {
        const state = await wait(
          () => foundSet(plane.convergence(service), service),
          (now) => now.converged,
          query.wait ?? 0,
          exchange.signal,
        );
        return { body: state };
      },
    }),
    endpoint({
      method: 'get',
      path: '/v1/services/{service}/events',
      tag,
      summary: 'The last 200 events of people, and the last 50 of the controller and the instances',
      access: { role: 'viewer', about: 'service' },
      params,
      query: request.noQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The events, newest last.', schema: resource.events } },
      codes: ['not_found'],
      handle: ({ params: { service } }) => ({ body: { items: found(plane.events(service), service) } }),
    }),
    endpoint({
      method: 'get',
      path: '/v1/services/{service}/limits',
      tag,
      summary: 'The limits, and how many requests each admitted and refused of late',
      access: { role: 'viewer', about: 'service' },
      params,
      query: request.noQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The limits, in their order.', schema: resource.limits } },
      codes: ['not_found', 'store_unavailable'],
      handle: async ({ params: { service } }) => {
        const limits = await plane.limits(service);
        if (!limits.ok) throw new Refusal({ code: 'store_unavailable', detail: limits.error });
        return { body: { items: found(limits.value, service) } };
      },
    }),
  ];
}

function patchEndpoints(plane: ControlPlane): readonly Endpoint[] {
  return [
    endpoint({
      method: 'patch',
      path: '/v1/services/{service}',
      tag,
      summary: 'Change the spec (merge patch: null takes a member back to its default)',
      access: { role: 'releaser', about: 'service', members: { routes: 'admin' } },
      params,
      query: request.mutationQuery,
      body: request.specPatch,
      ifMatch: 'required',
      answers: CHANGED,
      codes: [...MUTATION_CODES, 'route_taken'],
      handle: ({ params: { service }, query, body }, exchange) => {
        const { reason, force, ...spec } = body;
        const patch = spec as SpecPatch;
        return mutate(
          plane,
          { kind: 'patch_spec', service, spec: patch },
          { ...query, reason, force },
          exchange,
        );
      },
    }),
    endpoint({
      method: 'patch',
      path: '/v1/services/{service}/versions',
      tag,
      summary: 'Set the shares of the versions',
      access: { role: 'releaser', about: 'service' },
      params,
      query: request.mapQuery,
      body: request.versionsPatch,
      ifMatch: 'required',
      answers: CHANGED,
      codes: MUTATION_CODES,
      handle: ({ params: { service }, query, body }, exchange) =>
        mutate(plane, { kind: 'set_versions', service, versions: body }, query, exchange, 'query'),
    }),
    endpoint({
      method: 'patch',
      path: '/v1/services/{service}/weights',
      tag,
      summary: 'Set the weights of several instances at once',
      access: { role: 'operator', about: 'service' },
      params,
      query: request.mapQuery,
      body: request.weightsPatch,
      ifMatch: 'required',
      answers: CHANGED,
      codes: MUTATION_CODES,
      handle: ({ params: { service }, query, body }, exchange) =>
        mutate(plane, { kind: 'set_weights', service, weights: body }, query, exchange, 'query'),
    }),
  ];
}

function withEtag(body: ServiceResource): Reply {
  return { headers: { ETag: `"${body.etag ?? '0'}"` }, body };
}

function found<T>(value: T | undefined, service: string): T {
  if (value === undefined) throw absent(`there is no service ${service}`);
  return value;
}

function foundSet<T>(value: T | undefined, service: string): T {
  if (value === undefined) throw absent(`there is no published set of ${service}`);
  return value;
}
