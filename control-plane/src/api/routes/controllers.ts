import type { ControlPlane } from '../../model/control_plane.js';
import type { ControllerResource } from '../../model/resources.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { Refusal } from '../refusal.js';
import * as request from '../schema/requests.js';
import * as resource from '../schema/resources.js';

/** The controllers that run, and which of them leads. */
export function controllerEndpoints(plane: ControlPlane): readonly Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/v1/controllers',
      tag: 'controllers',
      summary: 'The controllers that run, the leader first',
      access: { role: 'viewer', about: 'nothing' },
      params: null,
      query: request.noQuery,
      body: null,
      answers: { 200: { description: 'The controllers.', schema: resource.controllers } },
      codes: ['store_unavailable'],
      handle: async () => {
        return { body: { items: await controllersOf(plane) } };
      },
    }),
    endpoint({
      method: 'get',
      path: '/v1/leader',
      tag: 'controllers',
      summary: 'The controller that leads, and where it is reached',
      access: { role: 'viewer', about: 'nothing' },
      params: null,
      query: request.noQuery,
      body: null,
      answers: { 200: { description: 'The leader.', schema: resource.controller } },
      codes: ['store_unavailable', 'no_leader'],
      handle: async () => {
        const leader = (await controllersOf(plane)).find(({ role }) => role === 'leader');
        if (leader !== undefined) return { body: leader };
        throw new Refusal({ code: 'no_leader', detail: 'No controller leads now. Try again.' });
      },
    }),
  ];
}

async function controllersOf(plane: ControlPlane): Promise<readonly ControllerResource[]> {
  const items = await plane.controllers();
  if (items.ok) return items.value;
  throw new Refusal({
    code: 'store_unavailable',
    detail: `ZooKeeper does not say which controllers run (${items.error}). Try again.`,
  });
}
