import type { ControlPlane } from '../model/ports.js';
import type { Mutation, MutationResource } from '../model/resources.js';
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
 * started, else 200; `ETag` when exactly one service was touched. `place` is where `force` stood, for messages.
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
    reason: given.reason ?? '',
    dry_run: given.dry_run ?? false,
    force: given.force ?? false,
    if_match: exchange.ifMatch,
    idempotency_key: exchange.idempotencyKey,
    expires_ms: given.expires ?? null,
  });
  if (!outcome.ok) throw new Refusal(outcome.error);
  return answer(outcome.value);
}

function answer(body: MutationResource): Reply {
  const etags = Object.values(body.etags);
  const headers: Record<string, string> = {};
  if (etags.length === 1 && !body.dry_run) headers['ETag'] = `"${etags[0] ?? ''}"`;
  if (body.dry_run || body.operation === null) return { status: 200, headers, body };
  headers['Location'] = `/v1/operations/${encodeURIComponent(body.operation.id)}`;
  return { status: 202, headers, body };
}
