import type { Answer } from '../endpoint.js';
import type { ProblemCode } from '../../model/problem.js';
import * as mutation from '../schema/mutation.js';

/** What every mutation may be refused with, besides what every route may. */
export const MUTATION_CODES: readonly ProblemCode[] = [
  'not_found',
  'conflict',
  'guard_refused',
  'precondition_failed',
  'not_leader',
  'no_leader',
  'not_ready',
  'store_unavailable',
  'too_large',
  'unsupported_media_type',
];

export const ETAG = { ETag: "The service's etag: changes with its intents, not with live counts." };

/** A mutation's only answer when it starts no operation. */
export const CHANGED: Readonly<Record<number, Answer>> = {
  200: {
    description: 'What it changed, or with `dry_run` would change.',
    schema: mutation.mutation,
    headers: ETAG,
  },
};

/** A mutation that starts an operation. */
export const STARTED: Readonly<Record<number, Answer>> = {
  200: { description: 'With `dry_run`: what it would change.', schema: mutation.mutation },
  202: {
    description: 'Accepted; the operation goes on.',
    schema: mutation.mutation,
    headers: { ...ETAG, Location: 'The operation.' },
  },
};

/** How long a drain keeps sticky clients, as a member of its mutation; absent = not at all. */
export function kept(keepSticky: number | null | undefined): { readonly keep_sticky_ms?: number } {
  return keepSticky === null || keepSticky === undefined ? {} : { keep_sticky_ms: keepSticky };
}
