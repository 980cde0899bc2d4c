import { MOST_LISTED } from '../../model/api_consumer.js';
import type { ControlPlane } from '../../model/control_plane.js';
import { EVERYTHING } from '../../model/glob.js';
import type { MutationResource } from '../../model/mutation.js';
import type { ProblemCode } from '../../model/problem.js';
import { hashOfKey, keyIdFor, makeKey, makeKeyId } from '../auth/api_key.js';
import type { RandomBytes } from '../auth/secret.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { mutate } from '../mutate.js';
import { Refusal } from '../refusal.js';
import * as schema from '../schema/consumers.js';
import * as request from '../schema/requests.js';
import { CHANGED, MUTATION_CODES } from './answers.js';

const tag = 'consumers';
const access = { role: 'admin', about: 'all' } as const;
const codes: readonly ProblemCode[] = MUTATION_CODES.filter((code) => code !== 'guard_refused');
const keyCodes: readonly ProblemCode[] = [...codes, 'idempotency_conflict'];

/** Who may send requests through the gateways, and the keys that prove it. */
export function consumerEndpoints(plane: ControlPlane, random: RandomBytes): readonly Endpoint[] {
  return [...reads(plane), ...writes(plane), ...keys(plane, random)];
}

function reads(plane: ControlPlane): readonly Endpoint[] {
  const known = (): void => {
    if (plane.consumers.known) return;
    throw new Refusal({ code: 'not_ready', detail: 'The consumers have not been read from ZooKeeper yet.' });
  };
  return [
    endpoint({
      method: 'get',
      path: '/v1/consumers',
      tag,
      summary: 'The consumers, without their keys',
      access: { role: 'viewer', about: 'all' },
      params: null,
      query: schema.listQuery,
      body: null,
      answers: { 200: { description: 'The consumers, by name.', schema: schema.consumers } },
      codes: ['not_ready'],
      handle: ({ query: { after = null, limit = MOST_LISTED } }) => {
        known();
        return { body: plane.consumers.page({ after, limit }) };
      },
    }),
    endpoint({
      method: 'get',
      path: '/v1/consumers/{consumer}',
      tag,
      summary: 'One consumer, without its keys',
      access: { role: 'viewer', about: 'all' },
      params: schema.consumerParams,
      query: request.noQuery,
      body: null,
      answers: { 200: { description: 'The consumer.', schema: schema.consumer } },
      codes: ['not_ready', 'not_found'],
      handle: ({ params: { consumer } }) => {
        known();
        const body = plane.consumers.byName(consumer);
        if (body) return { body };
        throw new Refusal({ code: 'not_found', detail: `There is no consumer ${consumer}.` });
      },
    }),
  ];
}

function writes(plane: ControlPlane): readonly Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/v1/consumers',
      tag,
      summary: 'Make a consumer; it has no key yet',
      access,
      params: null,
      query: request.mutationQuery,
      body: schema.createBody,
      answers: CHANGED,
      codes,
      handle: ({ query, body }, exchange) => {
        const { name, services = [EVERYTHING], networks = [], reason } = body;
        const mutation = { kind: 'create_consumer', name, services, networks } as const;
        return mutate(plane, mutation, { reason, ...query }, exchange);
      },
    }),
    endpoint({
      method: 'patch',
      path: '/v1/consumers/{consumer}',
      tag,
      summary: 'Change what it may; its keys stay',
      access,
      params: schema.consumerParams,
      query: request.mutationQuery,
      body: schema.changeBody,
      answers: CHANGED,
      codes,
      handle: ({ params: { consumer: name }, query, body }, exchange) => {
        const { services = null, networks = null, reason } = body;
        const mutation = { kind: 'change_consumer', name, services, networks } as const;
        return mutate(plane, mutation, { reason, ...query }, exchange);
      },
    }),
    endpoint({
      method: 'delete',
      path: '/v1/consumers/{consumer}',
      tag,
      summary: 'Remove it, with all of its keys',
      access,
      params: schema.consumerParams,
      query: schema.deleteQuery,
      body: null,
      answers: CHANGED,
      codes,
      handle: ({ params: { consumer: name }, query }, exchange) =>
        mutate(plane, { kind: 'delete_consumer', name }, query, exchange),
    }),
  ];
}

function keys(plane: ControlPlane, random: RandomBytes): readonly Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/v1/consumers/{consumer}/keys',
      tag,
      summary: 'Give it a key; the key is in this answer and nowhere else',
      access,
      params: schema.consumerParams,
      query: request.mutationQuery,
      body: schema.keyBody,
      answers: {
        200: { description: 'With `dry_run`: it could be given.', schema: schema.addedKey },
        201: { description: 'The key.', schema: schema.addedKey },
      },
      codes: keyCodes,
      handle: async ({ params: { consumer: name }, query, body }, exchange) => {
        const { key: brought, expires, reason } = body;
        const made = brought === undefined ? makeKey(random) : { text: null, hash: hashOfKey(brought) };
        const { idempotencyKey } = exchange;
        const id = idempotencyKey === null ? makeKeyId(random) : keyIdFor(name, idempotencyKey);
        const mutation = { kind: 'add_key', name, id, hash: made.hash } as const;
        const answer = await mutate(plane, mutation, { reason, expires, ...query }, exchange);
        const dry_run = query.dry_run ?? false;
        const until = plane.consumers.byName(name)?.keys.find((one) => one.id === id)?.until ?? null;
        const { published } = answer.body as MutationResource;
        return {
          status: dry_run ? 200 : 201,
          body: { consumer: name, id, until, dry_run, published, key: dry_run ? null : made.text },
          ...(answer.logged === undefined ? {} : { logged: answer.logged }),
        };
      },
    }),
    endpoint({
      method: 'delete',
      path: '/v1/consumers/{consumer}/keys/{key}',
      tag,
      summary: 'Revoke a key: every gateway refuses it from then on',
      access,
      params: schema.keyParams,
      query: schema.deleteQuery,
      body: null,
      answers: CHANGED,
      codes,
      handle: ({ params: { consumer: name, key: id }, query }, exchange) =>
        mutate(plane, { kind: 'revoke_key', name, id }, query, exchange),
    }),
  ];
}
