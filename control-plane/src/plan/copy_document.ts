import { createHash } from 'node:crypto';
import type { CopyHead, CopyRecord, KeptCopy } from '../model/truth_copy.js';
import { err, ok, type Result } from '../model/result.js';
import { isObject } from '../model/shape.js';
import { byCodeUnit } from './encode.js';

/*
 * The one document of export, import and every kept copy (docs/reference/export.md). Its checksum is made of the records alone, in
 * order of their names: it finds damage, and is no signature.
 */

export const EXPORT_FORMAT = 'ebbgate-export';
const VERSION = 1;

/** A document that was read; the values are not checked yet. */
export interface ParsedCopy extends CopyHead {
  readonly records: readonly { readonly record: string; readonly value: unknown }[];
}

/** The document as text, a record a line. */
export function encodeCopy(copy: KeptCopy): string {
  return joinCopy(encodeHead(copy), copy.records) ?? '';
}

/** The document without its records, as JSON. */
export function encodeHead({ epoch, at, records }: KeptCopy): string {
  const head = { format: EXPORT_FORMAT, v: VERSION, epoch, at, count: records.length };
  return JSON.stringify({ ...head, checksum: checksumOf(records) });
}

/** A head and its records as a document; null if the head is none. */
export function joinCopy(head: string, records: readonly CopyRecord[]): string | null {
  if (!head.startsWith('{') || !head.endsWith('}')) return null;
  const lines = records.map(({ record, value }) => `{"record":${JSON.stringify(record)},"value":${value}}`);
  return `${head.slice(0, -1)},"records":[\n${lines.join(',\n')}\n]}\n`;
}

/** `sha256:` and the hash of a line for each record: its name and its value. */
export function checksumOf(records: readonly CopyRecord[]): string {
  const hash = createHash('sha256');
  for (const { record, value } of [...records].sort((a, b) => byCodeUnit(a.record, b.record)))
    hash.update(`${record} ${value}\n`);
  return `sha256:${hash.digest('hex')}`;
}

/** The epoch of a document, by its head alone; null if it cannot be read. */
export function epochIn(text: string): number | null {
  const match = /^\{"format":"ebbgate-export","v":\d+,"epoch":(\d{1,16}),/.exec(text);
  return match === null ? null : Number(match[1]);
}

/** Reads a document. The error names the member that is wrong. */
export function parseCopyText(text: string): Result<ParsedCopy, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return err('it is not JSON: it is cut off, or something else');
  }
  return parseCopy(value);
}

/** The same of a value. */
export function parseCopy(value: unknown): Result<ParsedCopy, string> {
  if (!isObject(value)) return err('it is no object');
  const { format, v, epoch, at, count, checksum, records } = value;
  if (format !== EXPORT_FORMAT) return err(`format: must be ${EXPORT_FORMAT}`);
  if (v !== VERSION)
    return err(
      `v: is ${spell(v)}, and this release reads ${String(VERSION)}: use the release that wrote it, or a newer one`,
    );
  if (typeof epoch !== 'number' || !Number.isSafeInteger(epoch) || epoch < 0)
    return err('epoch: must be a whole number');
  if (typeof at !== 'string' || Number.isNaN(Date.parse(at))) return err('at: must be a time (RFC 3339)');
  if (!Array.isArray(records)) return err('records: must be a list');
  const read: { readonly record: string; readonly value: unknown }[] = [];
  const names = new Set<string>();
  for (const [index, one] of (records as readonly unknown[]).entries()) {
    const name = isObject(one) ? one['record'] : null;
    if (!isObject(one) || typeof name !== 'string' || !('value' in one))
      return err(`records[${String(index)}]: must have record and value`);
    if (names.has(name)) return err(`records[${String(index)}]: ${name} is there twice`);
    names.add(name);
    read.push({ record: name, value: one['value'] });
  }
  if (count !== read.length)
    return err(`count: is ${spell(count)}, and ${String(read.length)} records are there`);
  const kept = read.map((one) => ({ record: one.record, value: JSON.stringify(one.value) }));
  if (checksum !== checksumOf(kept)) return err('checksum: the records are not those that were written');
  return ok({ epoch, at, records: read });
}

function spell(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value);
}
