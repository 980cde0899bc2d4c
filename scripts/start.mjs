// `npm start`: makes the machine ready, installs and builds what is needed, then is `ebbgate up` itself: one
// process, so that a signal is handled once. Arguments after `--` are those of `ebbgate up`.
import { readyDependencies } from './deps.mjs';
import { readyMachine } from './machine.mjs';

await readyMachine();
readyDependencies();
process.argv.splice(2, 0, 'up');
await import('./ebbgate.mjs');
