import { z } from 'zod';
import type { AuditRecord } from '../model/audit.js';
import { err, ok, type Result } from '../model/result.js';
import { decided, freezeSchema, instanceSchema } from './intent_record.js';

/*
 * A record as the bytes of its znode. Members that are not known here are kept: nothing reads a record to write it again.
 */

const was = <S extends z.ZodType>(before: S) => ({ before: before.nullable(), after: z.string() });

const undoSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none'), why: z.string() }),
  z.object({ kind: z.literal('apart') }),
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
  undo: undoSchema,
});

/** The bytes of a record. */
export function encodeAuditRecord(entry: AuditRecord): Buffer {
  return Buffer.from(JSON.stringify({ v: 1, ...entry }), 'utf8');
}

/** Reads a record's bytes; the error names the first member that is wrong. */
export function parseAuditRecord(data: Buffer): Result<AuditRecord, string> {
  const read = parsed(record, data);
  if (!read.ok) return read;
  const { v: _version, ...rest } = read.value as AuditRecord & { readonly v: 1 };
  return ok(rest);
}

/** The bytes of what undoes a record. */
export function encodeUndo(undo: AuditRecord['undo']): Buffer {
  return Buffer.from(JSON.stringify(undo), 'utf8');
}

/** Reads them. */
export function parseUndo(data: Buffer): Result<AuditRecord['undo'], string> {
  return parsed(undoSchema, data) as Result<AuditRecord['undo'], string>;
}

/** The schema only checks: what was read is what is handed on, member for member. */
function parsed(schema: z.ZodType, data: Buffer): Result<unknown, string> {
  let value: unknown;
  try {
    value = JSON.parse(data.toString('utf8'));
  } catch {
    return err('not JSON');
  }
  const checked = schema.safeParse(value);
  if (checked.success) return ok(value);
  const [issue] = checked.error.issues;
  return err(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`);
}
