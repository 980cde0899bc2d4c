import { expect, test } from 'vitest';
import type { StandingProblem } from '../model/standing_problem.js';
import { createRecordingLog } from '../testing/log.js';
import { ProblemLog } from './problem_log.js';

const BAD: StandingProblem = {
  code: 'bad_json',
  service: 'shop',
  path: '/services/shop/providers/a',
  message: 'no JSON',
};
const EMPTY: StandingProblem = { code: 'no_instance', service: 'shop', message: 'nobody' };

test('a problem is logged when it begins and when it is over, and keeps the time of its first look', () => {
  const log = createRecordingLog();
  const problems = new ProblemLog(log);
  problems.take([BAD], 1_000);
  const { since } = problems;
  expect([...since.values()]).toEqual([1_000]);
  problems.take([{ ...BAD, message: 'another sentence about the same' }], 2_000);
  expect(problems.since).toBe(since);
  problems.take([EMPTY], 3_000);
  expect([...problems.since.values()]).toEqual([3_000]);
  problems.take([], 4_000);
  expect(log.lines.map(({ level, fields, message }) => [level, { ...fields }, message])).toMatchObject([
    ['warn', { problem: 'bad_json', service: 'shop', path: BAD.path }, 'problem: no JSON'],
    ['warn', { problem: 'no_instance', service: 'shop' }, 'problem: nobody'],
    ['info', { problem: 'bad_json', since: '1970-01-01T00:00:01.000Z' }, 'problem is over'],
    ['info', { problem: 'no_instance' }, 'problem is over'],
  ]);
});

test('ten thousand problems at once are a hundred lines and one that says so', () => {
  const log = createRecordingLog();
  const problems = new ProblemLog(log);
  problems.take(
    Array.from({ length: 10_000 }, (_, i) => ({ ...BAD, path: `/services/shop/providers/${String(i)}` })),
    1,
  );
  expect(log.lines).toHaveLength(101);
  expect(log.lines.at(-1)?.fields).toEqual({ more: 9_900 });
  expect(problems.since.size).toBe(10_000);
});
