import type { Mutation, MutationContext, MutationResource, PlannedChange } from '../../model/mutation.js';
import type { Problem } from '../../model/problem.js';
import { err, ok, type Result } from '../../model/result.js';
import type { TokenRecord } from '../../model/token.js';
import type { StoredToken, TokenEdit } from '../../model/token_ports.js';
import type { CommandContext } from './context.js';
import { noUndo } from './entry.js';
import { perform } from './perform.js';
import { into } from './writing.js';

type TokenMutation = Extract<Mutation, { kind: 'create_token' | 'revoke_token' }>;

/** No service is called like this, so tokens have a queue of their own. */
const QUEUE = '@tokens';
/** All of them are in memory, and in every list. */
const MOST_TOKENS = 1_000;
/** How long a change waits for what another controller wrote. */
const UPDATED_MS = 1_000;

interface Decided {
  readonly before: StoredToken | null;
  readonly edit: TokenEdit;
}

/** Makes a token, or revokes one. A token that is there is never changed: a name means one thing from its creation to its end. */
export async function mutateTokens(
  context: CommandContext,
  mutation: TokenMutation,
  caller: MutationContext,
): Promise<Result<MutationResource, Problem>> {
  const done = await perform(context, caller, {
    kind: mutation.kind,
    queue: QUEUE,
    decide: () => decideNow(context, mutation, caller),
    writes: ({ edit }) => into(context.tokens, [edit]),
    updated: ({ before }) =>
      context.passes.until(UPDATED_MS, () => presentOf(context, mutation.name)?.etag !== before?.etag),
    audit: (decided) => ({
      ...{ object: mutation.name, services: [], changes: [changeOf(decided)] },
      undo: noUndo('a token is made and revoked once; its name may be used again'),
    }),
  });
  if (!done.ok) return done;
  const { dry_run } = caller;
  const changes = [changeOf(done.value)];
  return ok({ dry_run, changes, guards: [], blockers: [], operation: null, published: !dry_run, etags: {} });
}

function presentOf(context: CommandContext, name: string): StoredToken | undefined {
  return context.inputs.tokens?.get(name);
}

function decideNow(
  context: CommandContext,
  mutation: TokenMutation,
  caller: MutationContext,
): Result<Decided, Problem> {
  const { tokens } = context.inputs;
  const { name } = mutation;
  if (tokens === null) return err(NOT_READ);
  const damage = context.tokens.damaged().get(name);
  if (damage !== undefined) return err(damaged(name, context.tokens.pathOf(name), damage));
  const before = tokens.get(name) ?? null;
  if (mutation.kind === 'revoke_token') {
    if (before === null) return err({ code: 'not_found', detail: `There is no token ${name}.` });
    return ok({ before, edit: { name, etag: before.etag, record: null } });
  }
  if (before !== null) return err(taken(name));
  if (tokens.size >= MOST_TOKENS) return err(TOO_MANY);
  const { certificate } = mutation;
  const double = [...tokens.values()].find(
    ({ record }) => certificate !== null && record.certificate === certificate,
  );
  if (double !== undefined) return err(certificateTaken(double.record.name));
  return ok({ before, edit: { name, etag: null, record: recordOf(context, mutation, caller) } });
}

function recordOf(
  { world }: CommandContext,
  { name, id, role, scope, verifier, certificate }: Extract<TokenMutation, { kind: 'create_token' }>,
  { by, reason, expires_ms }: MutationContext,
): TokenRecord {
  const { wall } = world();
  const expires = expires_ms === null ? null : new Date(wall + expires_ms).toISOString();
  const at = new Date(wall).toISOString();
  return { v: 1, name, id, role, scope, verifier, certificate, by, reason, at, expires };
}

function changeOf({ before, edit: { name, record } }: Decided): PlannedChange {
  const text = (token: TokenRecord | undefined | null): string =>
    token ? `${token.role} of ${token.scope}` : 'none';
  return {
    ...{ service: '', instance: null, field: `token ${name}` },
    ...{ from: text(before?.record), to: text(record) },
  };
}

function taken(name: string): Problem {
  const detail = `There is a token ${name}. Its secret was shown once; if it is lost, revoke the token and make another.`;
  return { code: 'conflict', field: 'body.name', detail };
}

function certificateTaken(name: string): Problem {
  const detail = `The token ${name} has this certificate. A certificate is one token; revoke that one first.`;
  return { code: 'conflict', field: 'body.certificate', detail };
}

function damaged(name: string, path: string, damage: string): Problem {
  const detail = `The token ${name} cannot be read from ZooKeeper (${damage}), so nobody gets in by it. Delete ${path} first.`;
  return { code: 'conflict', detail };
}

const NOT_READ: Problem = {
  code: 'not_ready',
  detail: 'The tokens have not been read yet. Try again in a moment.',
};
const TOO_MANY: Problem = {
  code: 'conflict',
  detail: `There are ${String(MOST_TOKENS)} tokens, and no more are taken. Revoke those that are not used: ebbgate token list`,
};
