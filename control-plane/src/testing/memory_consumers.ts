import type { ConsumerPage, ConsumerPlane, ConsumerRecord, ConsumerResource } from '../model/api_consumer.js';
import type { Mutation, MutationContext, PlannedChange } from '../model/mutation.js';
import type { Problem } from '../model/problem.js';
import { err, ok, type Result } from '../model/result.js';

type ConsumerMutation = Extract<
  Mutation,
  { kind: 'create_consumer' | 'change_consumer' | 'delete_consumer' | 'add_key' | 'revoke_key' }
>;

const KINDS: readonly string[] = [
  'create_consumer',
  'change_consumer',
  'delete_consumer',
  'add_key',
  'revoke_key',
] satisfies ConsumerMutation['kind'][];

export function isOfConsumers(mutation: Mutation): mutation is ConsumerMutation {
  return KINDS.includes(mutation.kind);
}

/** A record of a consumer of which only what is given matters. */
export function buildConsumer(parts: Partial<ConsumerRecord> & { readonly name: string }): ConsumerRecord {
  const at = '2026-05-01T12:00:00.000Z';
  return { v: 1, services: ['*'], networks: [], keys: [], by: 'ann', reason: '', at, ...parts };
}

/** The consumers of a plane in memory. Tests fill `records`, and set `wall` for what expires. */
export class MemoryConsumers implements ConsumerPlane {
  known = true;
  wall = Date.parse('2026-05-01T12:00:00Z');
  readonly records = new Map<string, ConsumerRecord>();

  page({ after, limit }: { readonly after: string | null; readonly limit: number }): ConsumerPage {
    const names = [...this.records.keys()].sort().filter((name) => after === null || name > after);
    const shown = names.slice(0, limit);
    const next = names.length > limit ? (shown.at(-1) ?? null) : null;
    return { items: shown.flatMap((name) => this.byName(name) ?? []), next };
  }

  byName(name: string): ConsumerResource | undefined {
    const record = this.records.get(name);
    if (!record) return undefined;
    const { services, networks, keys, by, reason, at: since } = record;
    return {
      ...{ name, services, networks, by, reason, since },
      keys: keys.map(({ id, by: who, reason: why, at, expires: until }) => ({
        ...{ id, by: who, reason: why, since: at, until },
        expired: until !== null && Date.parse(until) <= this.wall,
      })),
    };
  }

  /** Changes one, as far as it is to be seen. */
  change(mutation: ConsumerMutation, context: MutationContext): Result<PlannedChange, Problem> {
    const { name } = mutation;
    const before = this.records.get(name);
    const change = { service: '', instance: null, field: `consumer ${name}`, from: 'none', to: 'none' };
    if (mutation.kind === 'create_consumer') {
      if (before) return err({ code: 'conflict', detail: `There is a consumer ${name}.` });
      const { services, networks } = mutation;
      if (!context.dry_run) this.records.set(name, buildConsumer({ name, services, networks }));
      return ok(change);
    }
    if (!before) return err({ code: 'not_found', detail: `There is no consumer ${name}.` });
    const after = this.#after(before, mutation, context);
    if (!context.dry_run) {
      if (after) this.records.set(name, after);
      else this.records.delete(name);
    }
    return ok(change);
  }

  #after(
    before: ConsumerRecord,
    mutation: Exclude<ConsumerMutation, { kind: 'create_consumer' }>,
    { by, reason, expires_ms }: MutationContext,
  ): ConsumerRecord | null {
    switch (mutation.kind) {
      case 'delete_consumer':
        return null;
      case 'change_consumer': {
        const { services, networks } = mutation;
        return { ...before, services: services ?? before.services, networks: networks ?? before.networks };
      }
      case 'revoke_key':
        return { ...before, keys: before.keys.filter(({ id }) => id !== mutation.id) };
      case 'add_key': {
        const { id, hash } = mutation;
        const at = new Date(this.wall).toISOString();
        const expires = expires_ms === null ? null : new Date(this.wall + expires_ms).toISOString();
        return { ...before, keys: [...before.keys, { id, hash, by, reason, at, expires }] };
      }
    }
  }
}
