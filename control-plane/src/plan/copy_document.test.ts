import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeCopy, encodeHead, epochIn, joinCopy, parseCopyText } from './copy_document.js';

const copies = fc
  .tuple(fc.nat(), fc.dictionary(fc.string({ minLength: 1 }), fc.json()))
  .map(([epoch, values]) => ({
    ...{ epoch, at: '2026-05-01T12:00:00.000Z' },
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
    ...{ epoch: 5, at: '2026-05-01T12:00:00.000Z' },
    records: [{ record: 'intents/shop', value: '{"rev":12,"by":"ann"}' }],
  });
  for (let end = 0; end < text.length - 2; end += 1) expect(parseCopyText(text.slice(0, end)).ok).toBe(false);
  const [from, to] = [text.indexOf('"records"'), text.length];
  for (let at = from; at < to; at += 1) {
    if (/\s/.test(text[at] ?? '')) continue;
    expect(parseCopyText(`${text.slice(0, at)}~${text.slice(at + 1)}`).ok).toBe(false);
  }
});
