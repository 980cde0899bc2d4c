import * as z from 'zod';
import type { ControlPlane } from '../../model/control_plane.js';
import type { Clock } from '../../model/ports.js';
import type { ProblemCode } from '../../model/problem.js';
import { type VerbName, hasEnded } from '../../model/release.js';
import type { Gates } from '../../model/release_gates.js';
import type { ReleaseContext, ReleaseOutcome } from '../../model/release_plane.js';
import type { ReleaseResource } from '../../model/release_resources.js';
import { endpoint, type Answer, type Endpoint, type Exchange, type Reply } from '../endpoint.js';
import type { Reach } from '../auth/access.js';
import { streamRelease } from '../release_stream.js';
import { absent, invalid, Refusal } from '../refusal.js';
import { name } from '../schema/atoms.js';
import * as asked from '../schema/release_requests.js';
import { strategyIn } from '../schema/release_strategies.js';
import * as schema from '../schema/releases.js';
import * as request from '../schema/requests.js';
import type { Wait } from '../wait.js';

const tag = 'releases';
const ofService = z.strictObject({ service: name('service') });
const params = z.strictObject({
  release: z.string().regex(/^[A-Za-z0-9._-]{1,128}$/, 'must be an id as the API gave it'),
});
const CODES: readonly ProblemCode[] = [
  'not_found',
  'conflict',
  'precondition_failed',
  'idempotency_conflict',
  'not_leader',
  'not_ready',
  'store_unavailable',
  'too_large',
  'unsupported_media_type',
];
const ETAG = { ETag: 'Changes with every move of the release.' };
const STREAM =
  'Type `event`: the events after `Last-Event-ID` (absent: all that are kept), each with its number as id, then each new one. Type `state`: the release, at first and at every change. Ends when the release has ended; whoever has everything then is answered 204.';
const MOVED: Readonly<Record<number, Answer>> = {
  200: { description: 'What it did, or with `dry_run` would do.', schema: schema.outcome },
};

/** The releases: what they are, what they will do, and the verbs of people. */
export function releaseEndpoints(plane: ControlPlane, wait: Wait, clock: Clock): readonly Endpoint[] {
  return [...readEndpoints(plane, wait, clock), startEndpoint(plane), ...verbEndpoints(plane)];
}

function readEndpoints(plane: ControlPlane, wait: Wait, clock: Clock): readonly Endpoint[] {
  const shared = { method: 'get', tag, body: null, view: true, codes: ['not_found'] } as const;
  return [
    endpoint({
      ...shared,
      path: '/v1/releases',
      summary: 'The releases that run, by service',
      access: { role: 'viewer', about: 'shown' },
      params: null,
      query: request.noQuery,
      answers: { 200: { description: 'The releases.', schema: schema.releases } },
      codes: [],
      handle: (_, { reach }) => ({
        body: { items: plane.releases.running().filter(({ service }) => reach.sees(service)) },
      }),
    }),
    endpoint({
      ...shared,
      path: '/v1/services/{service}/releases',
      summary: 'The releases of a service, newest first',
      access: { role: 'viewer', about: 'service' },
      params: ofService,
      query: request.noQuery,
      answers: { 200: { description: 'The releases.', schema: schema.releases } },
      handle: ({ params: { service } }) => {
        const items = plane.releases.ofService(service);
        if (!items) throw absent(`there is no service ${service}`);
        return { body: { items } };
      },
    }),
    endpoint({
      ...shared,
      path: '/v1/releases/{release}',
      summary: 'One release and what it waits for; `wait` ends when it has ended',
      access: { role: 'viewer', about: 'named' },
      params,
      query: request.waitQuery,
      answers: {
        200: { description: 'The state at the end of the wait.', schema: schema.release, headers: ETAG },
      },
      handle: async ({ params: { release }, query }, exchange) => {
        const read = () => seen(plane, release, exchange.reach);
        const body = await wait(read, ({ state }) => hasEnded(state), query.wait ?? 0, exchange.signal);
        return { headers: { ETag: `"${body.etag}"` }, body };
      },
    }),
    endpoint({
      ...shared,
      path: '/v1/releases/{release}/plan',
      summary: 'What it does step by step, and what blocks the next step',
      access: { role: 'viewer', about: 'named' },
      params,
      query: request.noQuery,
      answers: { 200: { description: 'The plan.', schema: schema.plan } },
      handle: ({ params: { release } }, { reach }) => {
        seen(plane, release, reach);
        return { body: found(plane.releases.plan(release), release) };
      },
    }),
    endpoint({
      ...shared,
      path: '/v1/releases/{release}/events',
      summary:
        'Its last 50 events of people, and of the controller: what, who, when; or a stream of them and of every state',
      access: { role: 'viewer', about: 'named' },
      params,
      query: request.noQuery,
      answers: {
        200: { description: 'The events, newest last.', schema: schema.releaseEvents, stream: STREAM },
      },
      codes: ['not_found', 'too_many_streams'],
      handle: ({ params: { release } }, { stream, reach }) => {
        const { state } = seen(plane, release, reach);
        const items = found(plane.releases.events(release), release);
        if (!stream) return { body: { items } };
        const ended = hasEnded(state);
        // Nothing can come any more: this is how a client that reconnects by itself learns to stop.
        if (ended && stream.after === items.at(-1)?.n)
          return { status: 204, text: { type: 'text/event-stream', content: '' } };
        return { stream: streamRelease(plane, clock, release, stream.after) };
      },
    }),
  ];
}

function found<T>(value: T | undefined, id: string): T {
  if (value === undefined) throw absent(`there is no release ${id}; old ones are forgotten`);
  return value;
}

/** The release, if the caller may see its service; to others it does not exist. */
function seen(plane: ControlPlane, id: string, reach: Reach): ReleaseResource {
  const release = plane.releases.byId(id);
  return found(release && reach.sees(release.service) ? release : undefined, id);
}

function startEndpoint(plane: ControlPlane): Endpoint {
  return endpoint({
    method: 'post',
    path: '/v1/services/{service}/releases',
    tag,
    summary: 'Start a release, or with `dry_run` see its plan',
    access: { role: 'releaser', about: 'service' },
    params: ofService,
    query: request.mutationQuery,
    body: asked.releaseBody,
    ifMatch: 'optional',
    answers: {
      ...MOVED,
      202: {
        description: 'Accepted; the release goes on.',
        schema: schema.outcome,
        headers: { Location: 'The release.' },
      },
    },
    codes: [...CODES, 'guard_refused'],
    handle: async ({ params: { service }, query, body }, exchange) => {
      const { target, stable, like, deadline, supersede, reason, plan_hash, force } = body;
      const { interval, delay, ...gates } = body.gates ?? {};
      const release = {
        service,
        target,
        stable: stable ?? null,
        strategy: strategyIn(body),
        like: like ?? null,
        gates: given({ ...gates, interval_ms: interval, delay_ms: delay }) as Partial<Gates>,
        deadline_ms: deadline ?? null,
        start_deadline_ms: body.start_deadline ?? null,
        min_ready: body.min_ready ?? null,
        supersede: supersede ?? false,
        plan_hash: plan_hash ?? null,
      };
      const context = contextOf(exchange, { ...query, reason, force });
      return answer(await plane.releases.begin(release, context), 'start', reason);
    },
  });
}

/** A default is what is absent, not what is undefined. */
function given(members: object): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

const SUMMARIES: Readonly<Record<VerbName, string>> = {
  pause: 'Pause its steps; the fast gate goes on watching',
  resume: 'Go on after a pause by a person or a gate',
  promote: 'End the waiting of a step',
  skip: 'Leave a step, whatever it waits for',
  retry: 'Begin a step again',
  abort: 'Go back; it ends `cancelled`',
  rollback: 'Go back; it ends `rolled_back`',
};

/** Whoever looks after instances at night may stop a release and go back; forward goes who releases. */
const ROLE_OF = { pause: 'operator', abort: 'operator', rollback: 'operator', resume: 'releaser' } as const;

function verbEndpoints(plane: ControlPlane): readonly Endpoint[] {
  const query = request.mutationQuery;
  const shared = { method: 'post', tag, params, query, ifMatch: 'optional', answers: MOVED } as const;
  const plain = (['pause', 'resume', 'abort', 'rollback'] as const).map((verb) =>
    endpoint({
      ...shared,
      path: `/v1/releases/{release}/${verb}`,
      summary: SUMMARIES[verb],
      access: { role: ROLE_OF[verb], about: 'named' },
      body: asked.verbBody,
      codes: CODES,
      handle: async ({ params: { release }, query, body }, exchange) => {
        const what = { verb, expected_step: null, full: false };
        if (!exchange.reach.seesAll) seen(plane, release, exchange.reach);
        const context = contextOf(exchange, { ...query, ...body });
        return answer(await plane.releases.move(release, what, context), verb, body.reason);
      },
    }),
  );
  const stepped = (['promote', 'skip', 'retry'] as const).map((verb) =>
    endpoint({
      ...shared,
      path: `/v1/releases/{release}/${verb}`,
      summary: SUMMARIES[verb],
      access: { role: 'releaser', about: 'named' },
      body: verb === 'promote' ? asked.promoteBody : asked.stepBody,
      codes: [...CODES, 'guard_refused'],
      handle: async ({ params: { release }, query, body }, exchange) => {
        const { expected_step } = body;
        const full = 'full' in body && body.full === true;
        if (!exchange.reach.seesAll) seen(plane, release, exchange.reach);
        const context = contextOf(exchange, { ...query, ...body });
        const what = { verb, expected_step, full };
        return answer(await plane.releases.move(release, what, context), verb, body.reason);
      },
    }),
  );
  return [...plain, ...stepped];
}

function contextOf(
  exchange: Exchange,
  parts: {
    readonly dry_run?: boolean | undefined;
    readonly reason?: string | undefined;
    readonly force?: boolean | undefined;
  },
): ReleaseContext {
  if (parts.force === true && parts.reason === undefined)
    throw invalid('body.reason', 'body.reason is needed with force: say why the guards are overruled');
  return {
    by: exchange.by,
    origin: exchange.origin,
    reason: parts.reason ?? '',
    dry_run: parts.dry_run ?? false,
    force: parts.force ?? false,
    idempotency_key: exchange.idempotencyKey,
    if_match: exchange.ifMatch,
  };
}

function answer(
  outcome: Awaited<ReturnType<ControlPlane['releases']['move']>>,
  verb: VerbName | 'start',
  reason: string | undefined,
): Reply {
  if (!outcome.ok) throw new Refusal(outcome.error);
  const body: ReleaseOutcome = outcome.value;
  const { dry_run, changed, release } = body;
  const { id, service, stable, target, state, step, message } = release;
  const logged = {
    ...{
      verb: `${verb}_release`,
      object: `${service}/${id}`,
      service,
      release: id,
      from: stable,
      to: target,
      reason: reason ?? '',
    },
    ...{ dry_run, changed, state, step, message, etag: release.etag },
  };
  if (verb !== 'start' || dry_run) return { status: 200, body, logged };
  return { status: 202, headers: { Location: `/v1/releases/${encodeURIComponent(id)}` }, body, logged };
}
