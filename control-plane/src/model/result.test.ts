import { expect, test } from 'vitest';
import { allOf, err, ok, type Result } from './result.js';

test('all values in their order, or the first failure', () => {
  expect(allOf([])).toEqual(ok([]));
  const [number, text]: [Result<number, string>, Result<string, string>] = [ok(1), ok('two')];
  expect(allOf([number, text])).toEqual(ok([1, 'two']));
  expect(allOf([number, err('first'), text, err('second')])).toEqual(err('first'));
});
