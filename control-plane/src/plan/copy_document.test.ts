import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  encodeCopy,
  encodeHead,
  encodeWhole,
  epochIn,
  joinCopy,
  newestWithin,
  parseCopy,
  parseCopyText,
  withAudit,
} from './copy_document.js';

const copies = fc
  .tuple(fc.nat(), fc.dictionary(fc.string({ minLength: 1 }), fc.json()))
  .map(([epoch, values]) => ({
    ...{ epoch, at: '2026-05-01T12:00:00.000Z', tokens: true },
    records: Object.entries(values).map(([record, value]) => ({
      record,
      value: JSON.stringify(JSON.parse(value)),
    })),
  }));

test('what was encoded is read again, whatever is in it', () => {
  fc.assert(
    fc.property(copies, (copy) => {
      const text = encodeCopy(copy);
      const read = parseCopyText(text);
      expect(read).toMatchObject({ ok: true });
      if (!read.ok) return;
      expect(read.value.records.map(({ record, value }) => [record, JSON.stringify(value)])).toEqual(
        copy.records.map(({ record, value }) => [record, value]),
      );
      expect(epochIn(text)).toBe(copy.epoch);
      expect(joinCopy(encodeHead(copy), copy.records)).toBe(text);
    }),
  );
});

test('a document that was cut off, or in which one character is another one, is refused', () => {
  const text = encodeCopy({
    ...{ epoch: 5, at: '2026-05-01T12:00:00.000Z', tokens: true },
    records: [{ record: 'intents/shop', value: '{"rev":12,"by":"ann"}' }],
  });
  for (let end = 0; end < text.length - 2; end += 1) expect(parseCopyText(text.slice(0, end)).ok).toBe(false);
  const [from, to] = [text.indexOf('"records"'), text.length];
  for (let at = from; at < to; at += 1) {
    if (/\s/.test(text[at] ?? '')) continue;
    expect(parseCopyText(`${text.slice(0, at)}~${text.slice(at + 1)}`).ok).toBe(false);
  }
});

test('the audit is part of the document, and damage in it is found; a document of before has none', () => {
  const copy = { epoch: 5, at: '2026-05-01T12:00:00.000Z', tokens: false, records: [] };
  const audit = ['{"v":1,"n":1,"by":"ann"}', '{"v":1,"n":2,"by":"bob"}'];
  const text = encodeWhole(copy, audit);
  expect(parseCopyText(text)).toMatchObject({
    value: { tokens: false, audit: audit.map((one): unknown => JSON.parse(one)) },
  });
  expect(parseCopyText(text.replace('bob', 'eve'))).toMatchObject({
    error: expect.stringMatching(/^audit\.checksum/) as string,
  });
  expect(parseCopyText(text.replace('"count":2', '"count":3'))).toMatchObject({
    error: expect.stringMatching(/^audit\.count/) as string,
  });
  expect(parseCopyText(text.replace('"tokens":false', '"tokens":1'))).toMatchObject({
    error: expect.stringMatching(/^tokens/) as string,
  });
  for (let end = 0; end < text.length - 2; end += 1) expect(parseCopyText(text.slice(0, end)).ok).toBe(false);
  const before = encodeCopy(copy).replace('"tokens":false,', '');
  expect(parseCopyText(before)).toMatchObject({ value: { tokens: false, audit: [] } });
  // As the command line puts the audit of a directory into a copy.
  const joined = withAudit(JSON.parse(encodeCopy(copy)) as object, audit);
  expect(parseCopy(joined)).toEqual(parseCopyText(text));
});

test('of an audit that is too long the newest records stay', () => {
  const texts = ['aaaa', 'bb', 'ccc', 'd'];
  for (const [most, kept] of [
    [10, 4],
    [9, 3],
    [6, 3],
    [5, 2],
    [0, 0],
  ] as const)
    expect(newestWithin(most, texts)).toEqual(texts.slice(4 - kept));
});
