// `npm test`: every check and every suite, whatever fails on the way; where the time went, and one closing line with the
// counts. `--long` runs the long versions (EBBGATE_LONG=1 for the suites).
import { readyDependencies } from './deps.mjs';
import { readyMachine } from './machine.mjs';
import {
  BUSTED,
  CHECKS,
  E2E_TESTS,
  PURE_TESTS,
  runGroups,
  SERVER_TESTS,
  timeTable,
  total,
} from './suites.mjs';

if (process.argv.includes('--long')) process.env.EBBGATE_LONG = '1';
await readyMachine({ tests: true });
readyDependencies();
const started = performance.now();
// What only computes first, two suites at once; then, alone, what starts servers: beside a compiler its scenarios come late.
const computing = [[PURE_TESTS, BUSTED], CHECKS].map((suites) => ({ suites, options: { quiet: true } }));
const results = [
  ...(await runGroups(computing)),
  ...(await runGroups([{ suites: [SERVER_TESTS, E2E_TESTS] }])),
];
console.log(`\n${timeTable(results)}\n${((performance.now() - started) / 1000).toFixed(1)} s in all`);
const { passed, failed } = total(results);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
