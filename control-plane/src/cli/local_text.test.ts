import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { commandFor, DEFAULT_DIR } from './local_text.js';

it.each([
  [resolve(DEFAULT_DIR), 'npx ebbgate down'],
  ['/srv/ebb-1', 'npx ebbgate down --dir /srv/ebb-1'],
  ['/srv/my ebb', "npx ebbgate down --dir '/srv/my ebb'"],
])('what stops the Ebbgate in %s is %s', (dir, command) => {
  expect(commandFor('down', dir)).toBe(command);
});
