// `npm run bench [-- name …]`: runs bench/*.bench.ts with vitest's runner and bench/*.lua with LuaJIT, one after
// the other, because numbers taken side by side disturb each other.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readyDependencies, ROOT } from './deps.mjs';
import { readyMachine } from './machine.mjs';

await readyMachine({ tests: true });
readyDependencies();
const wanted = process.argv.slice(2);
const dir = join(ROOT, 'bench');
const files = (existsSync(dir) ? readdirSync(dir) : [])
  .filter((name) => name.endsWith('.bench.ts') || name.endsWith('.lua'))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`bench/ has no ${wanted.length > 0 ? wanted.join(', ') : 'benchmark'}`);
  process.exit(1);
}
const failed = files.filter((name) => {
  console.log(`\n=== ${name} ===`);
  const [command, args] = name.endsWith('.lua')
    ? ['luajit', [join('bench', name)]]
    : [join(ROOT, 'node_modules/.bin/vitest'), ['bench', '--run', '--root', '.', join('bench', name)]];
  const env = { ...process.env, LUA_PATH: 'lua/?.lua;lua/?/init.lua;;' };
  return spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', env }).status !== 0;
});
if (failed.length > 0) console.error(`\nfailed: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
