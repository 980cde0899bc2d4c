import type { Mutation, MutationContext, PlannedChange } from '../model/mutation.js';
import type { Problem } from '../model/problem.js';
import { err, ok, type Result } from '../model/result.js';
import type { KnownToken, TokenPlane, TokenRecord, TokenResource } from '../model/token.js';

type TokenMutation = Extract<Mutation, { kind: 'create_token' | 'revoke_token' }>;

/** The tokens of a plane in memory. Tests fill `records`, and set `wall` for what expires. */
export class MemoryTokens implements TokenPlane {
  known = true;
  wall = Date.parse('2026-05-01T12:00:00Z');
  readonly records = new Map<string, TokenRecord>();

  list(): readonly TokenResource[] {
    return [...this.records.values()].map((record) => {
      const { name, id, role, scope, certificate, by, reason, at: since, expires: until } = record;
      const { expired } = this.#known(record);
      return { name, id, role, scope, certificate, by, reason, since, until, expired };
    });
  }
  byId(id: string): KnownToken | undefined {
    return this.#find((record) => record.verifier !== null && record.id === id);
  }
  byCertificate(name: string): KnownToken | undefined {
    return this.#find((record) => record.certificate === name);
  }

  /** Makes or revokes one, as far as it is to be seen. */
  change(
    mutation: TokenMutation,
    { by, reason, expires_ms, dry_run }: MutationContext,
  ): Result<PlannedChange, Problem> {
    const { name } = mutation;
    const change = { service: '', instance: null, field: `token ${name}`, from: 'none', to: 'none' };
    if (mutation.kind === 'revoke_token') {
      if (!this.records.has(name)) return err({ code: 'not_found', detail: `There is no token ${name}.` });
      if (!dry_run) this.records.delete(name);
      return ok(change);
    }
    if (this.records.has(name)) return err({ code: 'conflict', detail: `There is a token ${name}.` });
    const { id, role, scope, verifier, certificate } = mutation;
    const at = new Date(this.wall).toISOString();
    const expires = expires_ms === null ? null : new Date(this.wall + expires_ms).toISOString();
    if (!dry_run)
      this.records.set(name, {
        ...{ v: 1, name, id, role, scope, verifier, certificate, by, reason, at, expires },
      });
    return ok(change);
  }

  #find(is: (record: TokenRecord) => boolean): KnownToken | undefined {
    const record = [...this.records.values()].find(is);
    return record && this.#known(record);
  }

  #known(record: TokenRecord): KnownToken {
    const { expires } = record;
    return { record, expired: expires !== null && Date.parse(expires) <= this.wall };
  }
}
