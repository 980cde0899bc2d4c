import { expect, it } from 'vitest';
import { fillQuery, readPrometheus, readWebhook, strangePlaceholder } from './answers.js';

it.each<[string, unknown, string, string]>([
  ['continue', { verdict: 'continue' }, 'pass', ''],
  ['with a message', { verdict: 'wait', message: 'tests run' }, 'wait', 'tests run'],
  ['a message that is null', { verdict: 'complete', message: null }, 'complete', ''],
  ['more than is known', { verdict: 'abort', message: 'a\n\u001b[31mb', by: 'ci' }, 'abort', 'a [31mb'],
  ['nothing', null, 'inconclusive', 'no JSON object'],
  ['a list', ['continue'], 'inconclusive', 'no JSON object'],
  ['another word', { verdict: 'ok' }, 'inconclusive', 'none of continue'],
  ['a word of the language', { verdict: 'constructor' }, 'inconclusive', 'none of continue'],
  ['our own word', { verdict: 'pass' }, 'inconclusive', 'none of continue'],
  ['a message that is no text', { verdict: 'abort', message: 7 }, 'inconclusive', 'message'],
])('a webhook answers %s', (_name, answer, verdict, message) => {
  expect(readWebhook(answer)).toMatchObject({
    verdict,
    value: null,
    message: expect.stringContaining(message) as string,
  });
});

it('keeps of a long message what fits', () => {
  expect(readWebhook({ verdict: 'abort', message: 'x'.repeat(9_999) }).message).toHaveLength(300);
});

const vector = (...values: readonly string[]): object => ({
  status: 'success',
  data: {
    resultType: 'vector',
    result: values.map((one) => ({ metric: {}, value: [1_795_000_000.1, one] })),
  },
});
const scalar = (value: string): object => ({
  status: 'success',
  data: { resultType: 'scalar', result: [1_795_000_000, value] },
});

it.each<[string, unknown, { max: number | null; min: number | null }, object]>([
  ['below max', vector('4.5'), { max: 5, min: null }, { verdict: 'pass', value: 4.5 }],
  ['at max', vector('5'), { max: 5, min: null }, { verdict: 'pass', value: 5 }],
  ['above max', vector('5.1'), { max: 5, min: null }, { verdict: 'fail', value: 5.1 }],
  ['below min', scalar('0.98'), { max: null, min: 0.99 }, { verdict: 'fail', value: 0.98 }],
  ['within both', scalar('1e-3'), { max: 1, min: 0 }, { verdict: 'pass', value: 0.001 }],
  ['infinity', vector('+Inf'), { max: 5, min: null }, { verdict: 'fail', value: null }],
  ['minus infinity', vector('-Inf'), { max: 5, min: null }, { verdict: 'pass', value: null }],
  ['not a number', vector('NaN'), { max: 5, min: null }, { verdict: 'inconclusive', value: null }],
  ['no number at all', vector(''), { max: 5, min: null }, { verdict: 'inconclusive', value: null }],
  ['no sample', vector(), { max: 5, min: null }, { verdict: 'inconclusive' }],
  ['two samples', vector('1', '2'), { max: 5, min: null }, { verdict: 'inconclusive' }],
  [
    'a matrix',
    { data: { resultType: 'matrix', result: [] } },
    { max: 5, min: null },
    { verdict: 'inconclusive' },
  ],
  ['something else', { status: 'error' }, { max: 5, min: null }, { verdict: 'inconclusive' }],
  ['nothing', null, { max: 5, min: null }, { verdict: 'inconclusive' }],
  [
    'a sample without a value',
    { data: { resultType: 'vector', result: [{}] } },
    { max: 5, min: null },
    { verdict: 'inconclusive' },
  ],
])('Prometheus answers %s', (_name, answer, limits, expected) => {
  const read = readPrometheus(answer, limits);
  expect(read).toMatchObject(expected);
  if (read.verdict === 'inconclusive') expect(read.message).not.toBe('');
});

it('fills names in, escaped', () => {
  const values = { service: 'shop', stable: 'v1', target: 'a"b\\c' };
  expect(fillQuery('x{s="{{service}}",v=~"{{ target }}|{{stable}}"}', values)).toBe(
    'x{s="shop",v=~"a\\"b\\\\c|v1"}',
  );
  expect(strangePlaceholder('x{s="{{service}}"}')).toBe(null);
  expect(strangePlaceholder('x{s="{{ servcie }}"}')).toBe('servcie');
});
