import type { ControlPlane } from '../model/control_plane.js';
import type { Mutation, MutationResource } from '../model/mutation.js';
import { objectOf } from '../model/mutation_object.js';
import type { Exchange, Reply } from './endpoint.js';
import { invalid, Refusal } from './refusal.js';

/** The circumstances a client may give, in the body or in the query. */
export interface Circumstances {
  readonly dry_run?: boolean | undefined;
  readonly reason?: string | undefined;
  readonly force?: boolean | undefined;
  readonly expires?: number | null | undefined;
}

/**
 * Hands a mutation to the plane and turns its outcome into an answer: 202 with `Location` when an operation was
 * started, else 200; `ETag` when exactly one service was touched. `place` is where `force` was given, for messages.
 */
export async function mutate(
  plane: ControlPlane,
  mutation: Mutation,
  given: Circumstances,
  exchange: Exchange,
  place: 'body' | 'query' = 'body',
): Promise<Reply> {
  if (given.force === true && given.reason === undefined)
    throw invalid(
      `${place}.reason`,
      `${place}.reason is needed with force: say why the guards are overruled`,
    );
  const outcome = await plane.mutate(mutation, {
    by: exchange.by,
    origin: exchange.origin,
    services: exchange.reach.services,
    reason: given.reason ?? '',
    dry_run: given.dry_run ?? false,
    force: given.force ?? false,
    if_match: exchange.ifMatch,
    idempotency_key: exchange.idempotencyKey,
    expires_ms: given.expires ?? null,
  });
  if (!outcome.ok) throw new Refusal(outcome.error);
  const named = mutation.kind === 'restore_copy' ? { ...mutation, document: null } : mutation;
  const logged = logFields(named, outcome.value, given);
  return { ...answer(outcome.value), logged };
}

/** What the log says of a mutation, in the words of its record in the audit, and complete: every change, and every etag. */
function logFields(
  mutation: Mutation,
  { changes, guards, operation, dry_run, published, etags, undoes }: MutationResource,
  { reason, force, expires }: Circumstances,
): object {
  const { kind: verb, ...about } = publicPart(mutation);
  return {
    ...{ verb, object: objectOf(mutation), ...about, reason: reason ?? '', dry_run, published },
    changes: changes.map(
      ({ service, instance, field, from, to }) =>
        `${service}${instance === null ? '' : `/${instance}`} ${field}: ${from || 'none'} → ${to || 'none'}`,
    ),
    ...(force === true ? { force, overruled: guards.map(({ message }) => message) } : {}),
    ...(expires === undefined || expires === null ? {} : { expires_ms: expires }),
    ...(operation === null ? {} : { operation: operation.id }),
    ...(undoes === undefined ? {} : { undoes: undoes.n }),
    etags,
  };
}

/** What of it may be read by whoever reads the log. */
function publicPart(mutation: Mutation): Mutation {
  if (mutation.kind === 'add_key') return { ...mutation, hash: '' };
  return mutation.kind === 'create_token' ? { ...mutation, verifier: null } : mutation;
}

function answer(body: MutationResource): Reply {
  const etags = Object.values(body.etags);
  const headers: Record<string, string> = {};
  if (etags.length === 1 && !body.dry_run) headers['ETag'] = `"${etags[0] ?? ''}"`;
  if (body.dry_run || body.operation === null) return { status: 200, headers, body };
  headers['Location'] = `/v1/operations/${encodeURIComponent(body.operation.id)}`;
  return { status: 202, headers, body };
}
