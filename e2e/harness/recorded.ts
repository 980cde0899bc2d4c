import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

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
