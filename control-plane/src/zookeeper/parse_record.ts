import type { z } from 'zod';
import { err, ok, type Result } from '../model/result.js';
import { recordFault, schemaOf, unknownSchema } from './record_fault.js';

/** The JSON of a record of schema 1, not checked any further; the error says what is wrong with the bytes. */
export function recordJson(data: Buffer): Result<unknown, string> {
  let value: unknown;
  try {
    value = JSON.parse(data.toString('utf8'));
  } catch {
    return err('not JSON');
  }
  return schemaOf(value) === 1 ? ok(value) : err(unknownSchema(schemaOf(value)));
}

/** Checks `value` as a record. The schema only checks: what was read is what is handed on, member for member. */
export function checkRecord<T>(schema: z.ZodType, value: unknown): Result<T, string> {
  const parsed = schema.safeParse(value);
  return parsed.success ? ok(value as T) : err(recordFault(parsed.error));
}

/** Reads a record's bytes; the error names the first member that is wrong. */
export function parseRecord<T>(schema: z.ZodType, data: Buffer): Result<T, string> {
  const json = recordJson(data);
  return json.ok ? checkRecord<T>(schema, json.value) : json;
}
