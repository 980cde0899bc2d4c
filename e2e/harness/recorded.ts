import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { GatewayPlace } from './gateway.js';

const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'e2e/recorded');

/** A release of Ebbgate that can run. */
export interface Release {
  readonly version: string;
  /** Has scripts/ebbgate.mjs, lua/ and nginx/, as an installation has. */
  readonly root: string;
}

/**
 * Unpacks the older release that `scripts/record_release.mjs` has packed into `dir`. Its packages are those of this checkout; all else
 * is as it was.
 */
export function unpackRecorded(dir: string): Release {
  const [archive, ...others] = readdirSync(FOLDER).filter((name) => name.endsWith('.tar.gz'));
  if (archive === undefined || others.length > 0)
    throw new Error(`e2e/recorded must have one release, the older one; see CONTRIBUTING.md`);
  mkdirSync(dir, { recursive: true });
  execFileSync('tar', ['-xzf', join(FOLDER, archive), '-C', dir]);
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  return { version: archive.replace(/\.tar\.gz$/, ''), root: dir };
}

/** What `ebbgate render` of any release takes for a gateway there, an option a line. */
export function renderOptions({ id, dir, port, adminPort, redisPort }: GatewayPlace): readonly string[] {
  return [
    `--gateway-id ${id}`,
    `--listen 127.0.0.1:${port}`,
    `--admin-listen 127.0.0.1:${adminPort}`,
    `--run-dir ${dir}`,
    `--redis-port ${redisPort}`,
    ...['--workers 2', '--worker-connections 1024'],
    // A test that runs as root has directories that other users cannot enter.
    ...(process.getuid?.() === 0 ? ['--user root'] : []),
  ];
}

/** The conf of a gateway there as that release writes it, with that release's Lua code. */
export function renderAs({ root }: Release, place: GatewayPlace): string {
  const options = renderOptions(place).flatMap((line) => line.split(' '));
  const command = [join(root, 'scripts/ebbgate.mjs'), 'render', ...options, '--lua-dir', join(root, 'lua')];
  return execFileSync(process.execPath, command, { encoding: 'utf8' });
}
