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
  readonly audit: readonly unknown[];
}

/** The document as text, a record a line. */
export function encodeCopy(copy: KeptCopy): string {
  return joinCopy(encodeHead(copy), copy.records) ?? '';
}

/** The document without its records, as JSON. */
export function encodeHead({ epoch, at, tokens, records }: KeptCopy): string {
  const head = { format: EXPORT_FORMAT, v: VERSION, epoch, at, tokens, count: records.length };
  return JSON.stringify({ ...head, checksum: checksumOf(records) });
}

/** A head and its records as a document; null if the head is none. */
export function joinCopy(head: string, records: readonly CopyRecord[]): string | null {
  if (!head.startsWith('{') || !head.endsWith('}')) return null;
  const lines = records.map(({ record, value }) => `{"record":${JSON.stringify(record)},"value":${value}}`);
  return `${head.slice(0, -1)},"records":[\n${lines.join(',\n')}\n]}\n`;
}

/** The document as text, with the records of the audit, oldest first. */
export function encodeWhole(copy: KeptCopy, audit: readonly string[]): string {
  const { count, checksum } = auditSummary(audit);
  const member = `"audit":{"count":${String(count)},"checksum":"${checksum}","records":[\n${audit.join(',\n')}\n]}`;
  return `${encodeCopy(copy).trimEnd().slice(0, -1)},${member}}\n`;
}

/** The last of `texts`, in their order, with `characters` at the most. */
export function newestWithin(characters: number, texts: readonly string[]): readonly string[] {
  let left = characters;
  const over = texts.findLastIndex((text) => (left -= text.length) < 0);
  return texts.slice(over + 1);
}

/** The same of a document that was read from a file, whose audit is in files beside it. */
export function withAudit(document: object, audit: readonly string[]): object {
  const records = audit.map((text): unknown => JSON.parse(text));
  return { ...document, audit: { ...auditSummary(audit), records } };
}

function auditSummary(audit: readonly string[]): { readonly count: number; readonly checksum: string } {
  const hash = createHash('sha256');
  for (const text of audit) hash.update(`${text}\n`);
  return { count: audit.length, checksum: `sha256:${hash.digest('hex')}` };
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
  const { format, v, epoch, at, tokens = false, count, checksum, records, audit = NO_AUDIT } = value;
  if (format !== EXPORT_FORMAT) return err(`format: must be ${EXPORT_FORMAT}`);
  if (v !== VERSION)
    return err(
      `v: is ${spell(v)}, and this release reads ${String(VERSION)}: use the release that wrote it, or a newer one`,
    );
  if (typeof epoch !== 'number' || !Number.isSafeInteger(epoch) || epoch < 0)
    return err('epoch: must be a whole number');
  if (typeof at !== 'string' || Number.isNaN(Date.parse(at))) return err('at: must be a time (RFC 3339)');
  if (typeof tokens !== 'boolean') return err('tokens: must be true or false');
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
  const audited = parseAudit(audit);
  return audited.ok ? ok({ epoch, at, tokens, records: read, audit: audited.value }) : audited;
}

/** A document of before the audit was part of it, or without it. */
const NO_AUDIT = { count: 0, checksum: auditSummary([]).checksum, records: [] };

function parseAudit(value: unknown): Result<readonly unknown[], string> {
  if (!isObject(value) || !Array.isArray(value['records'])) return err('audit.records: must be a list');
  const records = value['records'] as readonly unknown[];
  const { count, checksum } = auditSummary(records.map((one) => JSON.stringify(one)));
  if (value['count'] !== count)
    return err(`audit.count: is ${spell(value['count'])}, and ${String(count)} records are there`);
  if (value['checksum'] !== checksum)
    return err('audit.checksum: the records are not those that were written');
  return ok(records);
}

function spell(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value);
}

/** A record of the audit, as it is kept. What is no JSON is null: it is named with the records that are wrong. */
export function recordIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
