import type { ControlPlane } from '../../model/control_plane.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import * as request from '../schema/requests.js';
import * as ready from '../schema/readiness.js';

const tag = 'health';
const bare = { params: null, query: request.noQuery, body: null, method: 'get', tag } as const;

/** Whether the process lives, whether it can work, and its numbers. */
export function healthEndpoints(
  plane: ControlPlane,
  metrics: () => Promise<string>,
  document: () => unknown,
): readonly Endpoint[] {
  return [
    endpoint({
      ...bare,
      path: '/livez',
      summary: 'The process answers',
      access: { role: 'open', about: 'nothing' },
      answers: { 200: { description: 'Alive.', schema: ready.liveness } },
      handle: () => ({ body: { live: true } }),
    }),
    endpoint({
      ...bare,
      path: '/readyz',
      summary: 'ZooKeeper, Redis and the leadership, each with its state and since when',
      query: request.readyQuery,
      access: { role: 'open', about: 'nothing' },
      answers: {
        200: { description: 'Ready.', schema: ready.readiness },
        503: { description: 'Not ready; the same members say why.', schema: ready.readiness },
      },
      handle: ({ query }) => {
        const body = plane.readiness();
        const isAsked = query.role === undefined || body.controller.state === 'leading';
        return { status: body.ready && isAsked ? 200 : 503, body };
      },
    }),
    endpoint({
      ...bare,
      path: '/metrics',
      summary: "The controller's own metrics, in Prometheus' text format",
      access: { role: 'viewer', about: 'all' },
      answers: { 200: { description: 'The metrics.', type: 'text/plain' } },
      handle: async () => ({
        text: { type: 'text/plain; version=0.0.4; charset=utf-8', content: await metrics() },
      }),
    }),
    endpoint({
      ...bare,
      path: '/openapi.json',
      summary: 'This API as an OpenAPI 3.1 document',
      access: { role: 'any', about: 'nothing' },
      answers: { 200: { description: 'The document.' } },
      handle: () => ({ body: document() }),
    }),
  ];
}
