import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Templates } from '../render/render.js';

/** The directory of nginx/, lua/ and package.json, seen from the sources as well as from the build. */
export function productRoot(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'nginx', 'nginx.conf.hbs'))) {
    const above = dirname(dir);
    if (above === dir) throw new Error('this installation lacks nginx/nginx.conf.hbs; install Ebbgate again');
    dir = above;
  }
  return dir;
}

/** The product's version, as in package.json. */
export function productVersion(root: string = productRoot()): string {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}

/** Reads nginx.conf.hbs and its partials. */
export function readTemplates(root: string = productRoot()): Templates {
  const partials = join(root, 'nginx', 'partials');
  const names = readdirSync(partials).filter((name) => name.endsWith('.hbs'));
  return {
    main: readFileSync(join(root, 'nginx', 'nginx.conf.hbs'), 'utf8'),
    partials: Object.fromEntries(
      names.map((name) => [name.replace(/\.hbs$/, ''), readFileSync(join(partials, name), 'utf8')]),
    ),
  };
}
