import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { PROBLEM_KINDS } from '../model/standing_problem.js';

/*
 * docs/reference/problems.md against the kinds of problems, so that neither side has one that the other lacks.
 */

const page = readFileSync(new URL('../../../docs/reference/problems.md', import.meta.url), 'utf8');

it('every kind of problem is on the page with its severity, and no other', () => {
  const rows = [...page.matchAll(/^\| `([a-z_]+)` +\| (error|note) +\|/gm)].map(([, code, severity]) => [
    code,
    severity,
  ]);
  expect(rows.length).toBeGreaterThan(5);
  expect(Object.fromEntries(rows)).toEqual(PROBLEM_KINDS);
  expect(rows).toHaveLength(Object.keys(PROBLEM_KINDS).length);
});
