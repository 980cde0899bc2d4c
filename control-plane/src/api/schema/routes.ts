import * as z from 'zod';
import { ipFamily } from '../../model/ip_literal.js';
import { MAX_ROUTE_HOST } from '../../model/set_limits.js';
import type * as model from '../../model/route_resources.js';
import { ROUTE_MEMBERS } from '../../model/route.js';
import { name } from './atoms.js';
import { shapeOf } from './spec.js';

/** Which routes are asked for. */
export const routesQuery = z.strictObject({
  service: name('service').optional().meta({ description: 'Only those of this service.' }),
  host: z.string().min(1).max(MAX_ROUTE_HOST).optional().meta({
    description:
      'Only those that a request for this host may take; `*.suffix` and `*` are taken as they are.',
  }),
});

const headerLine = z
  .string()
  .max(4_096)
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+:[^\0\r\n]*$/, 'must be like X-Beta: yes');

/** The request that a route is asked for. */
export const routeQuestion = z.strictObject({
  method: z
    .string()
    .regex(/^[A-Z][A-Z-]{0,31}$/, 'must be a method in upper case, like GET')
    .default('GET'),
  url: z.string().min(1).max(8_192).meta({ description: '`https://host/path?query`, or `/path`.' }),
  header: z
    .union([headerLine, z.array(headerLine).max(50)])
    .optional()
    .meta({ description: 'A header line like `X-Beta: yes`; more than once for more of them.' }),
  client: z
    .string()
    .refine((text) => ipFamily(text) !== null, { error: 'must be an IP address' })
    .optional()
    .meta({ description: "The client's address. Absent: it is in no network." }),
});

const route = z.object({
  host: z.string(),
  path: z.string(),
  service: z.string(),
  ...shapeOf(ROUTE_MEMBERS, 'wire'),
  name: z.string(),
}) as z.ZodType as z.ZodType<model.RouteResource>;

export const routes = z.object({ items: z.array(route) });

export const routeTest = z.object({
  request: z.object({ method: z.string(), host: z.string(), path: z.string(), query: z.string() }),
  route: route.nullable(),
  why: z.array(z.string()),
  others: z.array(z.object({ route, why: z.array(z.string()) })),
}) satisfies z.ZodType<model.RouteTestResource>;
