import { own } from '../model/dictionary.js';
import * as z from 'zod';
import { findUnfit } from '../model/texts.js';
import { invalid, Refusal } from './refusal.js';

/** Where an input was; the first word of `field` in a problem. */
export type Place = 'path' | 'query' | 'body';

/** Parses `input`, or refuses it with every fault listed and the first one as `field`. */
export function validate<S extends z.ZodType>(schema: S, place: Place, input: unknown): z.output<S> {
  const unfit = findUnfit(input);
  if (unfit) {
    const field = [place, ...unfit.path].join('.');
    const kinds =
      'control characters, line separators, turned directions and broken characters are not taken';
    throw invalid(field, `${field} contains ${unfit.character}; ${kinds}. Leave it out`);
  }
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.flatMap((issue) => describe(issue, place, schema));
  throw new Refusal({
    code: 'invalid_request',
    field: faults[0]?.field ?? place,
    detail: faults.map((fault) => `${fault.field} ${fault.message}`).join('; '),
  });
}

interface Fault {
  readonly field: string;
  readonly message: string;
}

function describe(issue: z.core.$ZodIssue, place: Place, schema: z.ZodType): Fault[] {
  const field = [place, ...issue.path.map(String)].join('.');
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = members(schema, issue.path);
      const hint = known.length > 0 ? `; known: ${known.join(', ')}` : '; none is known here';
      return issue.keys.map((key) => ({ field: `${field}.${key}`, message: `is not known${hint}` }));
    }
    case 'invalid_key':
      return [{ field, message: `is not a valid name: ${issue.issues.map((i) => i.message).join(', ')}` }];
    case 'invalid_type':
      return [
        {
          field,
          message:
            issue.input === undefined && missing(issue) ? 'is missing' : `must be ${article(issue.expected)}`,
        },
      ];
    case 'invalid_value':
      return [{ field, message: `must be ${issue.values.map((v) => JSON.stringify(v)).join(' or ')}` }];
    case 'too_small':
      return [{ field, message: `must be at least ${String(issue.minimum)}${unit(issue.origin)}` }];
    case 'too_big':
      return [{ field, message: `must be at most ${String(issue.maximum)}${unit(issue.origin)}` }];
    default:
      return [{ field, message: issue.message.startsWith('must') ? issue.message : plain(issue.message) }];
  }
}

function missing(issue: z.core.$ZodIssue): boolean {
  return issue.message.endsWith('received undefined');
}

function plain(message: string): string {
  return /^\d+ to /.test(message) ? `must be ${message}` : message;
}

function article(expected: string): string {
  if (expected === 'int') return 'a whole number';
  return /^[aeiou]/.test(expected) ? `an ${expected}` : `a ${expected}`;
}

function unit(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' ? ' items long' : '';
}

/** The members that the object at `path` inside `schema` may have. */
function members(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let at: z.core.$ZodType | undefined = bare(schema);
  for (const step of path) {
    if (at instanceof z.ZodObject) at = bare(own(at.shape as Record<string, z.ZodType>, String(step)));
    else if (at instanceof z.ZodArray) at = bare(at.element);
    else return [];
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

function bare(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodNullable || inner instanceof z.ZodDefault)
    inner = inner.unwrap();
  return inner;
}
