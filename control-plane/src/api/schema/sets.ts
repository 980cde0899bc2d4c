import * as z from 'zod';
import type * as model from '../../model/resources.js';
import { ROUTE_MEMBERS } from '../../model/route.js';
import type { ServiceSet } from '../../model/set.js';
import { time } from './holds.js';
import { count, peerState } from './resources.js';
import { sectionSchemas, shapeOf } from './spec.js';

const routeMembers = shapeOf(ROUTE_MEMBERS, 'wire');

const peer = z.object({
  id: z.string(),
  host: z.string(),
  port: count,
  version: z.string(),
  weight: count,
  down: z.boolean(),
  state: peerState,
  zone: z.string().optional(),
  backup: z.boolean().optional(),
  keep_sticky: z.boolean().optional(),
});
const serviceSet = z.object({
  v: z.literal(1),
  service: z.string(),
  ...sectionSchemas('wire'),
  peers: z.array(peer),
}) as z.ZodType as z.ZodType<ServiceSet>;
const document = z.union([
  serviceSet,
  z.object({ v: z.literal(1), service: z.string(), removed: z.literal(true) }),
  z.object({
    v: z.literal(1),
    service: z.literal('@routes'),
    routes: z.array(z.object({ host: z.string(), path: z.string(), service: z.string(), ...routeMembers })),
  }),
]);
/** A published set, or the routes. */
export const set = z.object({
  service: z.string(),
  contract: count.meta({
    description:
      'The version of the contract that it is written in, and that `hash` is of. `document` has the form of version 1 all the same.',
  }),
  epoch: count,
  generation: count,
  hash: z.string(),
  at: time,
  document,
}) satisfies z.ZodType<model.SetResource>;
