// Packs what runs of this checkout into e2e/recorded/<version>.tar.gz, so that tests of later ones run it beside them:
// `npm run build && node scripts/record_release.mjs 0.1.0`. The command is bundled without the packages, which it takes from the later
// checkout; nginx/ and lua/ go in as they are. Equal sources give equal bytes.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const version = process.argv[2] ?? manifest.version;
if (!/^\d+\.\d+\.\d+(-[a-z0-9.]+)?$/.test(version)) {
  console.error('usage: node scripts/record_release.mjs [version], like 0.1.0');
  process.exit(2);
}

/** Runs a command to its end; its failure is ours. */
function run(command, args, input) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, input, maxBuffer: 2 ** 26 });
  if (status === 0) return stdout;
  console.error(`${command} failed: ${String(stderr)}`);
  process.exit(1);
}

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-record-'));
const packages = Object.keys(manifest.dependencies);
run(join(root, 'node_modules/.bin/rolldown'), [
  ...['dist/cli/main.js', '--dir', join(dir, 'dist/bin'), '--platform', 'node', '--minify'],
  ...packages.flatMap((name) => ['--external', name]),
]);
for (const folder of ['nginx', 'lua/ebbgate', 'lua/redis'])
  cpSync(join(root, folder), join(dir, folder), { recursive: true });
mkdirSync(join(dir, 'scripts'));
cpSync(join(root, 'scripts/ebbgate.mjs'), join(dir, 'scripts/ebbgate.mjs'));
rmSync(join(dir, 'nginx/golden'), { recursive: true, force: true });
writeFileSync(
  join(dir, 'package.json'),
  `${JSON.stringify({ name: manifest.name, version, type: 'module' })}\n`,
);
const order = ['--sort=name', '--mtime=2026-01-01 00:00Z', '--owner=0', '--group=0', '--numeric-owner'];
const archive = run('tar', [...order, '--mode=u+rw,go-w', '-C', dir, '-c', '.']);
const folder = join(root, 'e2e/recorded');
mkdirSync(folder, { recursive: true });
const file = join(folder, `${version}.tar.gz`);
writeFileSync(file, run('gzip', ['-9', '-n'], archive));
rmSync(dir, { recursive: true });
console.log(`${file}: ${String(readFileSync(file).length)} bytes`);
