// Brings node_modules and dist up to date, and does nothing when they are. Plain Node, no dependency.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** Runs `npm ci` if needed, makes `npx ebbgate` work, and builds if needed and wanted. Exits 1 on a failure. */
export function readyDependencies({ build = true } = {}) {
  if (!isInstalled()) run('Installing npm packages', 'npm', ['ci', '--no-fund', '--no-audit']);
  linkBin();
  if (build) compile();
}

// npm itself leaves a stamp of what it installed, at the very end of an install: node_modules/.package-lock.json.
// What it lists must be what package-lock.json asks for, aside from packages of other platforms.
function isInstalled() {
  const wanted = readLock(join(ROOT, 'package-lock.json'));
  const present = readLock(join(ROOT, 'node_modules/.package-lock.json'));
  if (!wanted || !present) return false;
  const paths = new Set([...Object.keys(wanted), ...Object.keys(present)]);
  paths.delete('');
  for (const path of paths) {
    if (!wanted[path]) return false;
    if (!present[path] && wanted[path].optional) continue;
    if (present[path]?.version !== wanted[path].version) return false;
    if (present[path].integrity !== wanted[path].integrity) return false;
  }
  return true;
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

function linkBin() {
  const link = join(ROOT, 'node_modules/.bin/ebbgate');
  const target = '../../scripts/ebbgate.mjs';
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() && readlinkSync(link) === target) return;
  mkdirSync(join(ROOT, 'node_modules/.bin'), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(target, link);
}

/** Compiles when a source, a tsconfig or the lock file changed since the last build that succeeded. */
function compile() {
  const stamp = join(ROOT, 'dist/.built');
  const digest = sourceDigest();
  if (readText(stamp) === digest && readText(join(ROOT, 'dist/bin/main.js')) !== '') return;
  run('Building', 'npm', ['run', '--silent', 'build']);
  writeFileSync(stamp, digest);
}

function sourceDigest() {
  const source = join(ROOT, 'control-plane/src');
  const files = readdirSync(source, { recursive: true })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .sort()
    .map((name) => join(source, name));
  files.push(...['tsconfig.json', 'control-plane/tsconfig.build.json'].map((name) => join(ROOT, name)));
  files.push(join(ROOT, 'package-lock.json'));
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(`${file.slice(ROOT.length)}\0`)
      .update(readText(file))
      .update('\0');
  return hash.digest('hex');
}

function readText(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function run(what, command, args) {
  console.log(`${what} …`);
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (status === 0) return;
  console.error(`${what} failed${error ? `: ${error.message}` : ''}; the reason is above.`);
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) readyDependencies();
