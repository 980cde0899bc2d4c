#!/usr/bin/env node
// The `ebbgate` command: runs what was built into dist/. It is bundled, packages included, because loading a thousand files took
// longer than most commands run.
import { existsSync } from 'node:fs';

const main = new URL('../dist/bin/main.js', import.meta.url);
if (!existsSync(main)) {
  console.error(
    'ebbgate is not built yet: run `npm start` (it builds and starts a demo) or `npm run build`.',
  );
  process.exit(1);
}
await import(main.href);
