import { appendFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeStep, drawHistory } from './harness/history.js';
import { runHistory } from './harness/history_runner.js';
import { ControlledPlatform } from './harness/controlled_platform.js';

/** How many, and from which seed on. A history that failed is played again by its seed alone. */
const COUNT = Number(process.env.EBBGATE_HISTORIES ?? 5);
const FIRST = Number(process.env.EBBGATE_SEED ?? 1);

let platform: ControlledPlatform;

beforeAll(async () => {
  platform = await ControlledPlatform.start({ env: { EBBGATE_SETTLE: '2s', EBBGATE_SUSPECT: '2s' } });
  report({ started: FIRST });
});
afterAll(() => platform[Symbol.asyncDispose]());

test('the same seed draws the same history, another seed another one', () => {
  const seeds = Array.from({ length: 50 }, (_, index) => index);
  expect(seeds.map(drawHistory)).toEqual(seeds.map(drawHistory));
  expect(new Set(seeds.map((seed) => JSON.stringify(drawHistory(seed).steps))).size).toBe(50);
});

test.each(Array.from({ length: COUNT }, (_, index) => FIRST + index))(
  'history %i: drained means drained, and the sets end as they were wanted',
  async (seed) => {
    const history = drawHistory(seed);
    const began = performance.now();
    const { broken, confirmations, diary, requests } = await runHistory(platform, history).catch(
      (error: unknown) => {
        const steps = history.steps.map(describeStep).join('\n  ');
        throw new Error(`seed ${String(seed)}\n  ${steps}\n${(error as Error).message}`, { cause: error });
      },
    );
    report({
      seed,
      steps: history.steps.map(({ kind }) => kind),
      confirmations: confirmations.length,
      requests,
      broken,
      seconds: (performance.now() - began) / 1_000,
    });
    expect(broken, `seed ${String(seed)}\n${diary.join('\n')}`).toEqual([]);
    expect(requests).toBeGreaterThan(0);
  },
  120_000,
);

/** One line of JSON per history, and one when the servers run, for the results page of the long run. */
function report(line: object): void {
  const file = process.env.EBBGATE_HISTORIES_REPORT;
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`);
}
