import { z } from 'zod';
import type { AuditRecord } from '../model/audit.js';
import { err, ok, type Result } from '../model/result.js';
import { decided, freezeSchema, instanceSchema } from './intent_record.js';

/*
 * A record as the bytes of its znode. Members that are not known here are kept: nothing reads a record to write it again.
 */

const was = <S extends z.ZodType>(before: S) => ({ before: before.nullable(), after: z.string() });

const undo = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none'), why: z.string() }),
  z.object({ kind: z.literal('in_log') }),
  z.object({ kind: z.literal('freeze_all'), ...was(freezeSchema) }),
  z.object({
    kind: z.literal('services'),
    services: z.array(
      z.object({
        service: z.string(),
        instances: z.array(z.object({ id: z.string(), ...was(instanceSchema) })),
        versions: z
          .object(
            was(
              z.object({
                versions: z.record(z.string(), z.number().min(0).max(100)),
                versions_by: z.strictObject(decided).nullable(),
                fallback: z.string().nullable(),
              }),
            ),
          )
          .nullable(),
        spec: z.array(z.object({ section: z.string(), ...was(z.unknown()) })),
        freeze: z.object(was(freezeSchema)).nullable(),
      }),
    ),
  }),
]);

const record = z.object({
  v: z.literal(1),
  n: z.int().min(1),
  at: z.iso.datetime({ offset: true }),
  ...{ by: z.string(), verb: z.string(), object: z.string(), reason: z.string() },
  ...{ token: z.string().nullable(), from: z.string(), request_id: z.string() },
  services: z.array(z.string()),
  changes: z.array(
    z.object({
      ...{ service: z.string(), instance: z.string().nullable() },
      ...{ field: z.string(), from: z.string(), to: z.string() },
    }),
  ),
  more_changes: z.int().min(0),
  force: z.boolean(),
  overruled: z.array(z.string()),
  until: z.string().nullable(),
  ...{ operation: z.string().nullable(), release: z.string().nullable() },
  idempotency_key: z.string().nullable(),
  undoes: z.int().min(1).nullable(),
  undo,
});

/** The bytes of a record. */
export function encodeAuditRecord(entry: AuditRecord): Buffer {
  return Buffer.from(JSON.stringify({ v: 1, ...entry }), 'utf8');
}

/** Reads a record's bytes; the error names the first member that is wrong. */
export function parseAuditRecord(data: Buffer): Result<AuditRecord, string> {
  let value: unknown;
  try {
    value = JSON.parse(data.toString('utf8'));
  } catch {
    return err('not JSON');
  }
  const parsed = record.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return err(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`);
  }
  const { v: _version, ...rest } = value as AuditRecord & { readonly v: 1 };
  return ok(rest);
}
