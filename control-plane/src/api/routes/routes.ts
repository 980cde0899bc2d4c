import type { ControlPlane } from '../../model/control_plane.js';
import type { RouteResource } from '../../model/route_resources.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { Refusal } from '../refusal.js';
import { routeQuestion, routes, routesQuery, routeTest } from '../schema/routes.js';

/** The routes of all services, and which of them a request takes. */
export function routeEndpoints(plane: ControlPlane): readonly Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/v1/routes',
      tag: 'routes',
      summary: 'All routes as they are published, the first that is asked first',
      access: { role: 'viewer', about: 'shown' },
      params: null,
      query: routesQuery,
      body: null,
      view: true,
      answers: { 200: { description: 'The routes.', schema: routes } },
      handle: ({ query: { service, host } }, { reach }) => {
        const items = plane
          .routes()
          .filter((one) => reach.sees(one.service))
          .filter((one) => service === undefined || one.service === service)
          .filter((one) => host === undefined || isForHost(one, host.toLowerCase()));
        return { body: { items } };
      },
    }),
    endpoint({
      method: 'get',
      path: '/v1/routes/test',
      tag: 'routes',
      summary: 'Which route a request takes, and why; it is not sent',
      access: { role: 'viewer', about: 'all' },
      params: null,
      query: routeQuestion,
      body: null,
      view: true,
      answers: { 200: { description: 'The route, and the nearest others.', schema: routeTest } },
      handle: ({ query: { method, url, header = [], client = null } }) => {
        const headers = (typeof header === 'string' ? [header] : header).map((line) => {
          const at = line.indexOf(':');
          return [line.slice(0, at), line.slice(at + 1).trim()] as const;
        });
        const tested = plane.testRoute({ method, url, headers, client });
        if (!tested.ok) throw new Refusal(tested.error);
        return { body: tested.value };
      },
    }),
  ];
}

function isForHost({ host: wanted }: RouteResource, host: string): boolean {
  return wanted === host || wanted === '*' || (wanted.startsWith('*.') && host.endsWith(wanted.slice(1)));
}
