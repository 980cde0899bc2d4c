import {
  MOST_CONSUMERS,
  MOST_KEYS,
  MOST_KEYS_OF_DOCUMENT,
  MOST_KEYS_OF_ONE,
  type ConsumerRecord,
} from '../../model/api_consumer.js';
import type { ConsumerEdit, StoredConsumer } from '../../model/api_consumer_ports.js';
import { keysNameOf } from '../../model/key_documents.js';
import type { Mutation, MutationContext, MutationResource, PlannedChange } from '../../model/mutation.js';
import type { Problem } from '../../model/problem.js';
import { err, ok, type Result } from '../../model/result.js';
import { withoutContract } from '../../plan/choose_contract.js';
import { changesOfConsumer } from '../../plan/diff_consumer.js';
import { neededBy } from '../../plan/encode.js';
import type { CommandContext } from './context.js';
import { noUndo } from './entry.js';
import { perform } from './perform.js';
import { into } from './writing.js';

export type ConsumerMutation = Extract<
  Mutation,
  { kind: 'create_consumer' | 'change_consumer' | 'delete_consumer' | 'add_key' | 'revoke_key' }
>;

/** No service is called like this, so consumers have a queue of their own. */
const QUEUE = '@consumers';
/** How long a change waits for what another controller wrote. */
const UPDATED_MS = 1_000;

interface Decided {
  readonly before: StoredConsumer | null;
  /** Null: it is so already. */
  readonly edit: ConsumerEdit | null;
  readonly changes: readonly PlannedChange[];
}

/** Makes, changes or removes a consumer, or one of its keys. */
export async function mutateConsumers(
  context: CommandContext,
  mutation: ConsumerMutation,
  caller: MutationContext,
): Promise<Result<MutationResource, Problem>> {
  const { name } = mutation;
  const done = await perform(context, caller, {
    kind: mutation.kind,
    queue: QUEUE,
    decide: () => decideNow(context, mutation, caller),
    writes: ({ edit }) => (edit === null ? null : into(context.apiConsumers, [edit])),
    updated: ({ before }) =>
      context.passes.until(UPDATED_MS, () => context.inputs.apiConsumers?.get(name)?.etag !== before?.etag),
    audit: ({ changes }) => ({
      ...{ object: name, services: [], changes },
      undo: noUndo('a key is made and revoked once: whoever needs one again gets another'),
    }),
  });
  if (!done.ok) return done;
  const { dry_run } = caller;
  const { changes } = done.value;
  const published = !dry_run && context.compilation.areKeysInForce();
  return ok({ dry_run, changes, guards: [], blockers: [], operation: null, published, etags: {} });
}

function decideNow(
  context: CommandContext,
  mutation: ConsumerMutation,
  caller: MutationContext,
): Result<Decided, Problem> {
  const { apiConsumers: consumers } = context.inputs;
  const { name } = mutation;
  if (consumers === null) return err(NOT_READ);
  const damage = context.apiConsumers.damaged().get(name);
  if (damage !== undefined) return err(damaged(name, context.apiConsumers.pathOf(name), damage));
  const before = consumers.get(name) ?? null;
  if (mutation.kind === 'create_consumer') {
    if (before !== null) return err(taken(name));
    if (consumers.size >= MOST_CONSUMERS) return err(TOO_MANY_CONSUMERS);
  } else if (before === null) return err({ code: 'not_found', detail: `There is no consumer ${name}.` });
  const record = recordAfter(context, mutation, caller, before?.record ?? null, consumers);
  if (!record.ok) return record;
  const changes = changesOfConsumer(name, before?.record ?? null, record.value);
  if (changes.length === 0 && before !== null && record.value !== null)
    return ok({ before, edit: null, changes });
  return ok({ before, edit: { name, etag: before?.etag ?? null, record: record.value }, changes });
}

function recordAfter(
  context: CommandContext,
  mutation: ConsumerMutation,
  { by, reason, expires_ms }: MutationContext,
  before: ConsumerRecord | null,
  consumers: ReadonlyMap<string, StoredConsumer>,
): Result<ConsumerRecord | null, Problem> {
  const { wall, witnesses } = context.world();
  const at = new Date(wall).toISOString();
  if (mutation.kind === 'create_consumer') {
    const { name, services, networks } = mutation;
    return ok({ v: 1, name, services, networks, keys: [], by, reason, at });
  }
  if (mutation.kind === 'delete_consumer' || before === null) return ok(null);
  switch (mutation.kind) {
    case 'change_consumer': {
      const { services, networks } = mutation;
      return ok({ ...before, services: services ?? before.services, networks: networks ?? before.networks });
    }
    case 'revoke_key': {
      const keys = before.keys.filter(({ id }) => id !== mutation.id);
      if (keys.length === before.keys.length) return err(noKey(before.name, mutation.id));
      return ok({ ...before, keys });
    }
    case 'add_key': {
      const { id, hash } = mutation;
      const known = before.keys.find((one) => one.id === id);
      // The same request again: what it was brought it has, and what was made for it was shown once.
      if (known?.hash === hash) return ok(before);
      if (known !== undefined) return err(shownOnce(before.name, id));
      const older = withoutContract(witnesses, neededBy({ auth: { type: 'api_key' } }));
      const refusal = older.length > 0 ? unknownThere(older) : keyRefusal(hash, before, consumers);
      if (refusal !== null) return err(refusal);
      const expires = expires_ms === null ? null : new Date(wall + expires_ms).toISOString();
      return ok({ ...before, keys: [...before.keys, { id, hash, by, reason, at, expires }] });
    }
  }
}

/** Why no consumer may get a key with this hash now, or null. */
function keyRefusal(
  hash: string,
  { name, keys }: ConsumerRecord,
  consumers: ReadonlyMap<string, StoredConsumer>,
): Problem | null {
  if (keys.length >= MOST_KEYS_OF_ONE) return tooManyOfOne(name);
  const document = keysNameOf(hash);
  let [all, beside] = [0, 0];
  for (const { record } of consumers.values())
    for (const key of record.keys) {
      if (key.hash === hash) return sameKey();
      all += 1;
      if (keysNameOf(key.hash) === document) beside += 1;
    }
  return all >= MOST_KEYS || beside >= MOST_KEYS_OF_DOCUMENT ? TOO_MANY_KEYS : null;
}

function shownOnce(name: string, id: string): Problem {
  const detail = `This request has given ${name} the key ${id} already, and a key is shown once. If it is lost, revoke it (ebbgate consumer key revoke ${name} ${id}), and ask for another under another Idempotency-Key.`;
  return { code: 'idempotency_conflict', detail };
}

/** Of whom the key is that is there is not said: whoever tries keys must not learn it. */
function sameKey(): Problem {
  const detail =
    'This key is that of a consumer already. A key proves one consumer: leave key out to get a new one.';
  return { code: 'conflict', field: 'body.key', detail };
}

function taken(name: string): Problem {
  const detail = `There is a consumer ${name}. Give it another key (ebbgate consumer key add ${name}), or choose another name.`;
  return { code: 'conflict', field: 'body.name', detail };
}

function unknownThere(gateways: readonly string[]): Problem {
  const detail = `${gateways.join(', ')} cannot ask for API keys, and would refuse what is published of them. Upgrade every gateway first, or forget those that are gone.`;
  return { code: 'conflict', detail };
}

function noKey(name: string, id: string): Problem {
  const detail = `The consumer ${name} has no key ${id}. ebbgate consumer get ${name} shows those that it has.`;
  return { code: 'not_found', detail };
}

function tooManyOfOne(name: string): Problem {
  const detail = `The consumer ${name} has ${String(MOST_KEYS_OF_ONE)} keys, and no more are taken. Revoke those that are not used.`;
  return { code: 'conflict', detail };
}

function damaged(name: string, path: string, damage: string): Problem {
  const detail = `The consumer ${name} cannot be read from ZooKeeper (${damage}); its keys stay as they were published. Restore ${path}, or delete it, first.`;
  return { code: 'conflict', detail };
}

const NOT_READ: Problem = {
  code: 'not_ready',
  detail: 'The consumers have not been read yet. Try again in a moment.',
};
const TOO_MANY_CONSUMERS: Problem = {
  code: 'conflict',
  detail: `There are ${String(MOST_CONSUMERS)} consumers, and no more are taken. Delete those that are not used: ebbgate consumer list`,
};
const TOO_MANY_KEYS: Problem = {
  code: 'conflict',
  detail: `There are ${String(MOST_KEYS)} keys, or too many of those that are published with this one, and no more are taken. Revoke those that are not used.`,
};
