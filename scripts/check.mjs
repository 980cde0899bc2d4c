// `npm run check`: everything that needs no server, two at a time, longest first. Properties are tried on a tenth of the
// histories that `npm test` draws.
import { readyDependencies } from './deps.mjs';
import { readyMachine } from './machine.mjs';
import { BUSTED, CHECKS, PURE_TESTS, runSuite, timeTable, total } from './suites.mjs';

await readyMachine({ tests: true });
readyDependencies({ build: false });
process.env.EBBGATE_DRAWS ??= '0.1';
const waiting = [PURE_TESTS, ...CHECKS, BUSTED];
const results = [];
const worker = async () => {
  for (let suite = waiting.shift(); suite; suite = waiting.shift())
    results.push(await runSuite(suite, { quiet: true }));
};
await Promise.all([worker(), worker()]);
console.log(`\n${timeTable(results, 5)}`);
const { passed, failed } = total(results);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
