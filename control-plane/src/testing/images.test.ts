import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { productRoot } from '../cli/product.js';

const root = productRoot();
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

const ignored = read('.dockerignore')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));
/** The last pattern that matches decides; `*` at its beginning leaves everything out. */
function inContext(path: string): boolean {
  const deciding = ignored.findLast((line) => {
    const pattern = line.replace(/^!/, '');
    return pattern === '*' || path === pattern || path.startsWith(`${pattern}/`);
  });
  return deciding?.startsWith('!') === true;
}

describe.each(['control-plane/Dockerfile', 'nginx/Dockerfile'])('%s', (file) => {
  const text = read(file);

  it('has a pinned base, which a build argument may replace', () => {
    expect(text).toMatch(/^ARG BASE=[a-z]+:\S*bookworm-slim$/m);
    expect([...text.matchAll(/^FROM (\S+)/gm)].map((match) => match[1])).not.toContainEqual(
      expect.not.stringMatching(/^\$\{BASE\}$/),
    );
  });

  it('copies what is there and in its context', () => {
    const sources = [...text.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap((match) =>
      match[1]!.split(' '),
    );
    expect(sources.length).toBeGreaterThan(2);
    expect(sources.filter((source) => !existsSync(join(root, source)) || !inContext(source))).toEqual([]);
  });

  it('ends as a user that is not root, and reports its health', () => {
    expect([...text.matchAll(/^USER (\S+)$/gm)].at(-1)?.[1]).toMatch(/^(node|ebbgate)$/);
    expect(text).toMatch(/^HEALTHCHECK /m);
  });
});

describe('the gateway', () => {
  it('is stopped gracefully, by its image and by its unit', () => {
    expect(read('nginx/Dockerfile')).toMatch(/^STOPSIGNAL SIGQUIT$/m);
    expect(read('nginx/systemd/ebbgate-gateway.service')).toMatch(/^KillSignal=SIGQUIT$/m);
  });
});

describe.each(['nginx/systemd/ebbgate-gateway.service', 'control-plane/systemd/ebbgate-controller.service'])(
  '%s',
  (file) => {
    it.each([
      /^User=ebbgate(-controller)?$/m,
      /^NoNewPrivileges=yes$/m,
      /^ProtectSystem=strict$/m,
      /^LimitNOFILE=\d+$/m,
      /^Restart=(always|on-failure)$/m,
      /^Environment=EBBGATE_TOKEN_FILE=\/etc\/ebbgate\//m,
      /^SystemCallFilter=@system-service$/m,
    ])('says %s', (line) => {
      expect(read(file)).toMatch(line);
    });

    it('keeps secrets out of its text', () => {
      expect(read(file)).not.toMatch(/^Environment=.*(PASSWORD|TOKEN|REDIS)=/m);
    });
  },
);

describe('what must not be in a context', () => {
  it.each([
    '.git',
    'node_modules',
    'dist',
    'e2e',
    'docs',
    '.ebbgate',
    'lua/spec',
    'control-plane/src/testing',
  ])('%s', (path) => {
    expect(inContext(path)).toBe(false);
  });
});
