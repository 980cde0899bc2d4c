import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parse } from 'yaml';

/*
 * docs/reference/metrics.md against the names in the sources, so that neither side has one that the other lacks.
 */

const ROOT = new URL('../../../', import.meta.url);
const page = readFileSync(new URL('docs/reference/metrics.md', ROOT), 'utf8');
/** What prom-client names, and histograms spell in three ways. */
const LIBRARY = /^ebbgate_controller_(process|nodejs)_$/;

/** The text of all sources below `folder` whose names end in `suffix`. */
function sources(folder: string, suffix: string): string {
  const base = new URL(folder, ROOT);
  return readdirSync(fileURLToPath(base), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(suffix) && !name.endsWith('.test.ts'))
    .map((name) => readFileSync(new URL(name, base), 'utf8'))
    .join('\n');
}

/** What the pattern's first group finds, without repeats, sorted. */
function found(text: string, pattern: RegExp): readonly string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, name = '']) => name))].sort();
}

const lua = sources('lua/ebbgate/', '.lua');
/** The one table of the gateway's metrics: type, name, labels. */
const OF_GATEWAY = /= (counter|gauge|histogram)\('(ebbgate_[a-z0-9_]+)', \{([^}]*)\}/g;
const table = readFileSync(new URL('lua/ebbgate/core/metrics.lua', ROOT), 'utf8');
const gatewayMetrics = [...table.matchAll(OF_GATEWAY)].map(([, type = '', name = '', labels = '']) => ({
  name,
  type,
  labels: found(labels, /'([a-z_]+)'/g),
}));
const ofGateway = gatewayMetrics.map(({ name }) => name).sort();
const METRIC = /(?:\bname\s*[=:]|\b[A-Za-z_]+\()\s*['"](ebbgate_[a-z0-9_]+)['"]/g;
const ofController = found(sources('control-plane/src/', '.ts'), METRIC).filter(
  (name) => !name.endsWith('_'),
);
const sectionOf = (title: string): string => page.split(/^## /m).find((one) => one.startsWith(title)) ?? '';
const ROW = /^\| `(ebbgate_[a-z0-9_]+)`/gm;

it('every metric of the gateway is on the page, and no other', () => {
  expect(ofGateway.length).toBeGreaterThan(10);
  expect(found(sectionOf('Of a gateway'), ROW)).toEqual(ofGateway);
});

it('the page gives each of them its type and its labels', () => {
  for (const { name, type, labels } of gatewayMetrics) {
    const row = sectionOf('Of a gateway')
      .split('\n')
      .find((line) => line.startsWith(`| \`${name}\``));
    const [, , typeOnPage = '', labelsOnPage = ''] = (row ?? '').split('|');
    expect([name, typeOnPage.trim(), found(labelsOnPage, /`([a-z_]+)`/g)]).toEqual([name, type, labels]);
  }
});

it('a metric of the gateway is named once', () => {
  expect([...lua.matchAll(/['"](ebbgate_[a-z0-9_]+)['"]/g)].map(([, name]) => name).sort()).toEqual(
    ofGateway,
  );
});

it('every metric of the controller is on the page, and no other', () => {
  expect(ofController.length).toBeGreaterThan(5);
  expect(found(sectionOf('Of a controller'), ROW)).toEqual(ofController);
});

it('every kind of sync error is on the page, and no other', () => {
  const kinds = found(lua, /\b(?:raise|keep|incomplete)\((?:self, pass, )?'([a-z_]+)'/g);
  expect(kinds.length).toBeGreaterThan(5);
  const rows = found(sectionOf('Of a gateway'), /^\| `([a-z_]+)`/gm).filter(
    (name) => !/^ebbgate_/.test(name),
  );
  expect(rows).toEqual(kinds);
});

it('the rules and the text name no metric that does not exist', () => {
  const known = new Set([...ofGateway, ...ofController]);
  const named = found(page, /\b(ebbgate_[a-z0-9_]+)/g).filter((name) => !LIBRARY.test(name));
  expect(named.filter((name) => !known.has(name.replace(/_(bucket|sum|count)$/, '')))).toEqual([]);
});

it('the YAML on the page is YAML', () => {
  const blocks = [...page.matchAll(/^```yaml\n([^]*?)^```/gm)].map(([, text = '']) => parse(text) as object);
  expect(blocks.map((one) => Object.keys(one))).toEqual([['scrape_configs'], ['groups']]);
});
