import { expect, test } from 'vitest';
import { changeLines } from './change_lines.js';

const line = (instance: string | null, field: string, from: string, to: string) => ({
  ...{ service: 'shop', instance, field, from, to },
});

test.each([
  ['nothing', [], []],
  [
    'one that was touched, and one other',
    [
      line('a', 'state', 'up', 'draining'),
      line('a', 'traffic', '50 %', '0 %'),
      line('b', 'traffic', '50 %', '100 %'),
    ],
    ['shop/a  state: up → draining', 'shop/a  traffic: 50 % → 0 %', 'shop/b  traffic: 50 % → 100 %'],
  ],
  [
    'several others that move alike are one line, one that moves otherwise is its own',
    [
      line('a', 'weight', '100', '50'),
      line('b', 'traffic', '25 %', '30 %'),
      line('c', 'traffic', '25 %', '30 %'),
      line('d', 'traffic', '20 %', '24 %'),
      line(null, 'freeze', '', 'on'),
    ],
    [
      'shop/a  weight: 100 → 50',
      'shop  traffic of 2 others: 25 % → 30 %',
      'shop/d  traffic: 20 % → 24 %',
      'shop  freeze: - → on',
    ],
  ],
])('%s', (_name, changes, lines) => {
  expect(changeLines(changes)).toEqual(lines);
});
