import type { z } from 'zod';

/**
 * What is wrong with a record, in one sentence that names its first wrong member. A member that is not known here was written by a
 * newer release: it is said so, because that record is not to be deleted.
 */
export function recordFault(error: z.ZodError): string {
  const [issue] = error.issues;
  if (issue === undefined) return 'not valid';
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys')
    return `${[path, issue.keys[0]].filter(Boolean).join('.')}: is not known to this release: written by a newer release`;
  return `${path}: ${issue.message}`;
}

/** Why a record is not read of which the schema's number is another one. */
export function unknownSchema(version: unknown): string {
  const schema = version === undefined ? 'missing' : JSON.stringify(version);
  const newer = typeof version === 'number' && version > 1 ? ': written by a newer release' : '';
  return `schema ${schema} is not known to this controller${newer}`;
}

/** The number of a record's schema. */
export function schemaOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'v' in value ? value.v : undefined;
}
