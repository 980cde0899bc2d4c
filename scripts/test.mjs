// `npm test`: every check and every suite, whatever fails on the way; one closing line with the counts.
// `--long` runs the long versions (EBBGATE_LONG=1 for the suites).
import { readyDependencies } from './deps.mjs';
import { readyMachine } from './machine.mjs';
import { BUSTED, CHECKS, CONTROL_PLANE_TESTS, E2E_TESTS, runSuite, total } from './suites.mjs';

if (process.argv.includes('--long')) process.env.EBBGATE_LONG = '1';
await readyMachine({ tests: true });
readyDependencies();
const results = [];
for (const suite of [...CHECKS, CONTROL_PLANE_TESTS, BUSTED, E2E_TESTS]) {
  console.log(`\n=== ${suite.name} ===`);
  results.push(await runSuite(suite));
}
const { passed, failed } = total(results);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
