import * as z from 'zod';
import { PROBLEMS, type ProblemCode } from '../model/problem.js';
import { spellAccess } from './auth/access.js';
import type { Answer, Endpoint } from './endpoint.js';
import * as releases from './schema/releases.js';
import * as mutation from './schema/mutation.js';
import * as ready from './schema/readiness.js';
import * as resource from './schema/resources.js';
import * as sets from './schema/sets.js';
import * as tokens from './schema/tokens.js';
import { AGE_HEADER, AGE_MEANING, STALE_HEADER, STALE_MEANING } from './staleness.js';

type Json = Record<string, unknown>;

/** The resources that get a name of their own in the document. */
const NAMED = {
  Position: resource.position,
  Convergence: resource.convergence,
  Service: resource.service,
  Services: resource.services,
  Instance: resource.instance,
  Instances: resource.instances,
  Operation: resource.operation,
  Operations: resource.operations,
  Gateway: resource.gateway,
  Gateways: resource.gateways,
  Intent: resource.intent,
  Intents: resource.intents,
  StandingProblem: resource.standingProblem,
  StandingProblems: resource.standingProblems,
  Event: resource.event,
  Events: resource.events,
  Set: sets.set,
  Mutation: mutation.mutation,
  Release: releases.release,
  Releases: releases.releases,
  ReleasePlan: releases.plan,
  ReleaseOutcome: releases.outcome,
  ReleaseEvents: releases.releaseEvents,
  Token: tokens.token,
  Tokens: tokens.tokens,
  CreatedToken: tokens.created,
  Identity: tokens.whoami,
  Readiness: ready.readiness,
  Protection: ready.protection,
  Liveness: ready.liveness,
  Problem: mutation.problem,
} as const;

/** The OpenAPI 3.1 document of `endpoints`, made from the schemas that validate the requests. */
export function openApi(endpoints: readonly Endpoint[], version: string): Json {
  const paths = new Map<string, Json>();
  for (const endpoint of endpoints)
    paths.set(endpoint.path, { ...paths.get(endpoint.path), [endpoint.method]: operation(endpoint) });
  return {
    openapi: '3.1.0',
    info: {
      title: 'Ebbgate control API',
      version,
      description:
        'Reads are of one moment. Unknown members and query parameters are refused. Errors are problem+json with a stable `code`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }, { certificate: [] }, {}],
    tags: [...new Set(endpoints.map((endpoint) => endpoint.tag))].map((name) => ({ name })),
    paths: Object.fromEntries(paths),
    components: {
      schemas: namedSchemas(),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'When the controller was given a token.' },
        certificate: { type: 'mutualTLS', description: 'When it has an authority for client certificates.' },
      },
    },
  };
}

function namedSchemas(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(NAMED)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { io: 'input', uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => [id, withoutFrame(schema as Json)]),
  );
}

/** Without `$schema` and `$id`, which the document's own frame replaces. */
function withoutFrame(schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id'));
}

function inline(schema: z.ZodType): Json {
  const name = Object.entries(NAMED).find(([, named]) => named === schema)?.[0];
  if (name) return { $ref: `#/components/schemas/${name}` };
  return withoutFrame(z.toJSONSchema(schema, { io: 'input' }));
}

function operation(endpoint: Endpoint): Json {
  return {
    operationId: operationId(endpoint),
    tags: [endpoint.tag],
    summary: endpoint.summary,
    ...(endpoint.access.role === 'open' ? { security: [] } : { 'x-ebbgate-access': accessOf(endpoint) }),
    parameters: [
      ...members(endpoint.params).map(({ name, schema }) => ({ name, in: 'path', required: true, schema })),
      ...members(endpoint.query).map(({ name, schema, required }) => ({
        name,
        in: 'query',
        required,
        schema,
      })),
      ...headers(endpoint),
    ],
    ...(endpoint.body ? { requestBody: requestBody(endpoint, endpoint.body) } : {}),
    responses: { ...answers(endpoint), ...refusals(endpoint) },
  };
}

/** Who may call it: the role, and what the token has to be for. */
function accessOf({ access }: Endpoint): Json {
  return { ...spellAccess(access) };
}

/** Verbs that one object and several of them take: those of several end in `_many`. */
const OF_MANY: ReadonlySet<string> = new Set(['/v1/gateways/forget']);

/** `POST /v1/services/{service}/instances/{instance}/drain` → `post_services_instances_drain`, with `_one` for a trailing name. */
function operationId({ method, path }: Endpoint): string {
  const words = path.split('/').filter((part) => part !== '' && part !== 'v1');
  const last = words.at(-1)?.startsWith('{') ? ['one'] : OF_MANY.has(path) ? ['many'] : [];
  return [method, ...words.filter((word) => !word.startsWith('{')), ...last].join('_').replaceAll('.', '_');
}

function members(schema: z.ZodType | null): { name: string; schema: Json; required: boolean }[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = inline(schema) as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, value]) => ({
    name,
    schema: value,
    required: required.includes(name),
  }));
}

function headers({ method, ifMatch, answers }: Endpoint): Json[] {
  const header = (name: string, required: boolean, description: string): Json => ({
    name,
    in: 'header',
    required,
    description,
    schema: { type: 'string' },
  });
  const streams = Object.values(answers).some(({ stream }) => stream !== undefined);
  return [
    ...(streams ? [header('Last-Event-ID', false, 'A stream goes on after this event.')] : []),
    ...(ifMatch
      ? [header('If-Match', ifMatch === 'required', 'The quoted ETag of the service, or `*`.')]
      : []),
    ...(method === 'get'
      ? []
      : [
          header('Idempotency-Key', false, '1 to 255 visible characters: repeated, it is the same request.'),
          header('X-Ebbgate-Actor', false, 'Who acts, like ann@example.org or job/42; kept with the change.'),
        ]),
  ];
}

function requestBody({ method }: Endpoint, body: z.ZodType): Json {
  const schema = inline(body);
  const types =
    method === 'patch' ? ['application/json', 'application/merge-patch+json'] : ['application/json'];
  return {
    required: method === 'patch' || ((schema['required'] ?? []) as string[]).length > 0,
    content: Object.fromEntries(types.map((type) => [type, { schema }])),
  };
}

function answers(endpoint: Endpoint): Json {
  return Object.fromEntries(
    Object.entries(endpoint.answers).map(([status, answer]) => [status, answerObject(answer, endpoint.view)]),
  );
}

/** `view`: it shows the registry, and says how old what it shows is. */
function answerObject(answer: Answer, view: boolean): Json {
  const ages: Readonly<Record<string, string>> = view
    ? { [STALE_HEADER]: STALE_MEANING, [AGE_HEADER]: AGE_MEANING }
    : {};
  const headers = { ...answer.headers, ...ages };
  const schema = answer.schema ? inline(answer.schema) : {};
  return {
    description: answer.description,
    ...(Object.keys(headers).length > 0
      ? {
          headers: Object.fromEntries(
            Object.entries(headers).map(([name, description]) => [
              name,
              { description, schema: { type: 'string' } },
            ]),
          ),
        }
      : {}),
    content: {
      [answer.type ?? 'application/json']: { schema },
      ...(answer.stream === undefined
        ? {}
        : { 'text/event-stream': { schema: { type: 'string', description: answer.stream } } }),
    },
  };
}

/** The codes a route may answer, by status; one problem schema for all. */
function refusals(endpoint: Endpoint): Json {
  const codes = new Set<ProblemCode>(['invalid_request', ...endpoint.codes]);
  if (endpoint.access.role !== 'open') {
    codes.add('unauthorized');
    codes.add('too_many_failures');
  }
  codes.add('forbidden');
  if (endpoint.ifMatch === 'required') codes.add('precondition_required');
  if (endpoint.view) codes.add('not_ready');
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of codes) {
    const { status } = PROBLEMS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      status,
      {
        description: list.map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join(' '),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}
