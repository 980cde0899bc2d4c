import type { ControlPlane } from '../../model/control_plane.js';
import { EVERYTHING } from '../../model/glob.js';
import type { ProblemCode } from '../../model/problem.js';
import { makeToken, type RandomBytes } from '../auth/secret.js';
import { endpoint, type Endpoint } from '../endpoint.js';
import { mutate } from '../mutate.js';
import { Refusal } from '../refusal.js';
import * as request from '../schema/requests.js';
import * as schema from '../schema/tokens.js';
import { CHANGED, MUTATION_CODES } from './answers.js';

const tag = 'tokens';
const access = { role: 'admin', about: 'all' } as const;
const codes: readonly ProblemCode[] = MUTATION_CODES.filter((code) => code !== 'guard_refused');

/** The tokens, and who the caller is. */
export function tokenEndpoints(plane: ControlPlane, random: RandomBytes): readonly Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/v1/whoami',
      tag,
      summary: 'Who the caller is, what it may do, and what its changes are recorded as',
      access: { role: 'any', about: 'nothing' },
      params: null,
      query: request.noQuery,
      body: null,
      answers: { 200: { description: 'The caller.', schema: schema.whoami } },
      handle: (_, { by, identity: { name, role, scope, proof, expires } }) => ({
        body: { name, by, role, scope, proof, until: expires },
      }),
    }),
    endpoint({
      method: 'get',
      path: '/v1/tokens',
      tag,
      summary: 'The tokens, without their secrets',
      access,
      params: null,
      query: request.noQuery,
      body: null,
      answers: { 200: { description: 'The tokens, by name.', schema: schema.tokens } },
      codes: ['not_ready'],
      handle: () => {
        if (plane.tokens.known) return { body: { items: plane.tokens.list() } };
        throw new Refusal({ code: 'not_ready', detail: 'The tokens have not been read from ZooKeeper yet.' });
      },
    }),
    createEndpoint(plane, random),
    endpoint({
      method: 'delete',
      path: '/v1/tokens/{token}',
      tag,
      summary: 'Revoke it: every controller refuses it from then on',
      access,
      params: schema.tokenParams,
      query: schema.revokeQuery,
      body: null,
      answers: CHANGED,
      codes,
      handle: ({ params: { token: name }, query }, exchange) =>
        mutate(plane, { kind: 'revoke_token', name }, query, exchange),
    }),
  ];
}

function createEndpoint(plane: ControlPlane, random: RandomBytes): Endpoint {
  return endpoint({
    method: 'post',
    path: '/v1/tokens',
    tag,
    summary: 'Make a token; its secret is in this answer and nowhere else',
    access,
    params: null,
    query: request.mutationQuery,
    body: schema.createBody,
    answers: {
      200: { description: 'With `dry_run`: it could be made.', schema: schema.created },
      201: { description: 'The token.', schema: schema.created },
    },
    codes,
    handle: async ({ query, body }, exchange) => {
      const { name, role, scope = EVERYTHING, certificate = null, expires, reason } = body;
      const { text, id, verifier } = makeToken(random);
      const proven = certificate === null ? { verifier, certificate } : { verifier: null, certificate };
      const { logged } = await mutate(
        plane,
        { kind: 'create_token', name, id, role, scope, ...proven },
        { reason, expires, ...query },
        exchange,
      );
      const dry_run = query.dry_run ?? false;
      const secret = dry_run || certificate !== null ? null : text;
      const until = plane.tokens.list().find((one) => one.id === id)?.until ?? null;
      return {
        status: dry_run ? 200 : 201,
        body: { name, role, scope, until, dry_run, secret },
        ...(logged === undefined ? {} : { logged }),
      };
    },
  });
}
