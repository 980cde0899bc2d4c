import { z } from 'zod';
import { err, ok, type Result } from '../model/result.js';
import { parseRecord } from './parse_record.js';
import type { Codec } from './truth_codec.js';

/** A record that has its own name in it, at a node of that name. */
interface Named {
  readonly name: string;
}

/** A record as it was read. */
interface Stored<T> {
  readonly record: T;
  readonly etag: string;
}

/** One to write; `record` null removes it. */
interface Edit<T> {
  readonly name: string;
  readonly etag: string | null;
  readonly record: T | null;
}

/** What schemas of such records are made of. */
export const moment = z.iso.datetime({ offset: true });
export const text = z.string().max(4_096);
export const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${String(digits)}}$`));

/** Reads the bytes of the record of that name; the error names the first member that is wrong. */
export function parseNamed<T extends Named>(
  schema: z.ZodType,
  name: string,
  data: Buffer,
): Result<T, string> {
  const record = parseRecord<T>(schema, data);
  if (record.ok && record.value.name !== name) return err(`name: it is that of ${record.value.name}`);
  return record;
}

/** How records that `parse` reads are kept, each at its name. */
export function namedCodec<T extends Named>(
  parse: (name: string, data: Buffer) => Result<T, string>,
): Pick<Codec<Stored<T>, Edit<T>, Stored<T>>, 'decode' | 'change'> {
  return {
    decode: (data, { name, etag }) => {
      const record = parse(name, data);
      return record.ok ? ok({ record: record.value, etag }) : record;
    },
    change: ({ name, etag, record }, { at }) => {
      const data = record && Buffer.from(JSON.stringify(record), 'utf8');
      return ok({ name, nodes: [{ path: at(name), data, etag }] });
    },
  };
}
