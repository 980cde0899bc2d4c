import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { specPatch } from '../api/schema/requests.js';
import { sectionSchemas } from '../api/schema/spec.js';
import { NO_INTENT } from '../model/intent.js';
import type { Document } from '../model/set.js';
import { SECTIONS, type SectionName } from '../model/service_spec.js';
import { isObject, readValue, withDefaults, type Fault, type Members } from '../model/shape.js';
import { parseDocument } from '../redis/documents.js';
import { parseIntentRecord } from '../zookeeper/intent_record.js';
import { buildPeer, buildSet } from './builders.js';
import { specContract, type ContractField, type ContractRule, type SpecContract } from './spec_contract.js';

/*
 * The limits and defaults of docs/contract/spec.json against every reader of this language: the published set, what people
 * decided, and the API. The gateway's reader is compared with the same file by lua/spec/spec_contract_spec.lua; that the file
 * is what the tables say is asked by page.test.ts.
 */

const FILE = new URL('../../../docs/contract/spec.json', import.meta.url);
const contract = JSON.parse(readFileSync(FILE, 'utf8')) as SpecContract;
const { fields, peers, longest, route_fields } = contract;
const patches = sectionSchemas('patch');

/** The ASCII characters that a text may contain, and all others. */
function charactersOf(inside: string): {
  readonly inside: readonly string[];
  readonly others: readonly string[];
} {
  const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
  return { inside: inside.split(''), others: ascii.filter((character) => !inside.includes(character)) };
}

/** Values at the border of a rule: those that pass, and those next to them that do not. */
function border(rule: ContractRule): { readonly good: readonly unknown[]; readonly bad: readonly unknown[] } {
  switch (rule.type) {
    case 'whole':
      return {
        good: [rule.min, rule.max],
        bad: [rule.min - 1, rule.max + 1, rule.min + 0.5, String(rule.min)],
      };
    case 'flag':
      return { good: [true, false], bad: ['yes', 0] };
    case 'word':
      return { good: rule.words, bad: ['none_of_them', rule.words[0]?.toUpperCase(), 1] };
    case 'text': {
      const [first = ''] = rule.good;
      // Beyond ASCII a length in characters and one in bytes differ.
      const more = first === 'é' ? 'é' : 'a';
      const full = first.slice(0, 1) + more.repeat(rule.most - 1);
      const { inside, others } = charactersOf(rule.inside);
      const between = (character: string): string => first + character + first;
      return {
        good: [...rule.good, full, ...inside.map(between)],
        bad: [...rule.bad, full + more, 1, ...others.map(between)],
      };
    }
    case 'range': {
      const { min, max } = rule;
      return {
        good: [
          [max, max],
          [min, max],
          [min, min],
        ],
        bad: [[min - 1, max], [min, max + 1], [max, min], [min], min],
      };
    }
    case 'list': {
      const of = border(rule.of);
      const item = of.good[0];
      return {
        good: [[], ...of.good.map((one) => [one]), Array<unknown>(rule.most).fill(item)],
        bad: [...of.bad.map((one) => [item, one]), Array<unknown>(rule.most + 1).fill(item), item],
      };
    }
    case 'form':
      return { good: rule.good, bad: [...rule.bad, 1] };
    case 'object':
      return { good: [], bad: [1, []] };
    case 'objects':
      return { good: [[]], bad: [1, {}, [1]] };
  }
}

/** A section with nothing in it but `value` at `path`, and what its neighbours need. */
function sectionWith(path: readonly string[], value: unknown): unknown {
  const [, ...names] = path;
  const { kind, members } = SECTIONS[path[0] as SectionName].rule;
  if (kind === 'objects') return [{ name: 'a', [names.at(-1) ?? '']: value }];
  const defaults = structuredClone(withDefaults(members, {}));
  const filled: Record<string, unknown> = Object.fromEntries(
    Object.entries(defaults).filter(([, given]) => given !== null),
  );
  let at = filled;
  for (const name of names.slice(0, -1)) at = (at[name] ??= NEEDED[name]?.()) as Record<string, unknown>;
  at[names.at(-1) ?? ''] = value;
  return filled;
}
const NEEDED: Readonly<Record<string, () => object>> = {
  hash_on: () => ({ source: 'header' }),
  sticky: () => ({ cookie: 'shop_at' }),
  check: () => ({ type: 'http' }),
  answer: () => ({ status: 503 }),
};

type Taken = { readonly ok: true; readonly value: unknown } | { readonly ok: false };

/** Every reader of this language: what it makes of a section. */
const READERS: readonly (readonly [string, (name: SectionName, section: unknown) => Taken])[] = [
  [
    'a published set',
    (name, section) => {
      const parsed = parseDocument(JSON.stringify({ ...buildSet(), [name]: section }));
      return parsed.ok
        ? { ok: true, value: (parsed.value as unknown as Record<string, unknown>)[name] }
        : { ok: false };
    },
  ],
  [
    'what people decided',
    (name, section) => {
      const faults: Fault[] = [];
      const value = readValue(SECTIONS[name].rule, section, 'spec', faults);
      return faults.length === 0 ? { ok: true, value } : { ok: false };
    },
  ],
  [
    'the API',
    (name, section) => {
      const parsed = patches[name].safeParse(section);
      return parsed.success ? { ok: true, value: parsed.data } : { ok: false };
    },
  ],
];

describe.each(READERS)('%s', (_, read) => {
  test.each(fields.filter(({ path }) => path.includes('.')))('$path', (field: ContractField) => {
    const path = field.path.split('.');
    const [name, ...names] = path as [SectionName, ...string[]];
    const { good, bad } = border(field);
    for (const value of good) {
      const section = sectionWith(path, value);
      expect([value, read(name, section)]).toEqual([value, { ok: true, value: section }]);
    }
    for (const value of bad) expect([value, read(name, sectionWith(path, value)).ok]).toEqual([value, false]);
    expect(names.length).toBeGreaterThan(0);
  });
});

/** An object with `value` at the path, and beside it what its neighbours need. */
function within([name = '', ...rest]: readonly string[], value: unknown): object {
  if (rest.length === 0) return { [name]: value };
  if (rest[0] !== '0')
    return { [name]: { ...(name === 'cors' ? { origins: ['*'] } : {}), ...within(rest, value) } };
  const needed = name === 'set' || name === 'add' ? { name: 'a', value: 'b' } : { name: 'a' };
  return { [name]: [{ ...needed, ...within(rest.slice(1), value) }] };
}

describe('a route', () => {
  /** Every reader of this language: whether it takes a route that says this. */
  const readers: readonly (readonly [string, (route: object) => boolean])[] = [
    [
      'that is published',
      (route) =>
        parseDocument(JSON.stringify({ v: 1, service: '@routes', routes: [{ ...route, service: 'shop' }] }))
          .ok,
    ],
    [
      'of a record',
      (route) =>
        parseIntentRecord(Buffer.from(JSON.stringify({ ...NO_INTENT, spec: { routes: [route] } }))).ok,
    ],
    ['of the API', (route) => specPatch.safeParse({ routes: [route] }).success],
  ];
  test.each(
    readers.flatMap(([who, takes]) => route_fields.map((field) => [who, field.path, field, takes] as const)),
  )('%s: %s', (_, path, field, takes) => {
    const names = path.split('.').slice(2);
    const routeWith = (value: unknown): object => ({ host: '*', path: '/', ...within(names, value) });
    const { good, bad } = border(field);
    for (const value of good) expect([value, takes(routeWith(value))]).toEqual([value, true]);
    for (const value of bad) expect([value, takes(routeWith(value))]).toEqual([value, false]);
  });
});

test.each(fields)('$path: nothing given is its default', ({ path, default: fallback }) => {
  let members: Members = SECTIONS;
  let filled: unknown;
  for (const name of path.split('.').filter((one) => one !== '0')) {
    filled = withDefaults(members, {})[name];
    const { rule } = members[name] ?? {};
    if (rule?.kind === 'object' || rule?.kind === 'objects') members = rule.members;
  }
  if (isObject(filled)) expect(fallback).toEqual({});
  else expect(filled).toEqual(fallback ?? null);
});

describe('peers, names and routes', () => {
  const set = (one: object): boolean =>
    parseDocument(JSON.stringify(buildSet({ peers: [{ ...buildPeer(), ...one }] }))).ok;
  test.each(['port', 'weight'] as const)('%s', (name) => {
    const { min, max } = peers[name];
    expect([min, max].map((value) => set({ [name]: value }))).toEqual([true, true]);
    expect([min - 1, max + 1].map((value) => set({ [name]: value }))).toEqual([false, false]);
  });
  test.each([
    ['id', 'instance'],
    ['version', 'version'],
    ['zone', 'zone'],
  ])('%s', (member, kind) => {
    const most = longest[kind] ?? 0;
    expect([most, most + 1].map((length) => set({ [member]: 'a'.repeat(length) }))).toEqual([true, false]);
  });
  test('the service', () => {
    const service = (length: number): boolean =>
      parseDocument(JSON.stringify(buildSet({ service: 'a'.repeat(length) }))).ok;
    expect([longest.service ?? 0, (longest.service ?? 0) + 1].map(service)).toEqual([true, false]);
  });
  test('how many peers', () => {
    const many = (count: number): boolean =>
      parseDocument(
        JSON.stringify(
          buildSet({ peers: Array.from({ length: count }, (_, i) => buildPeer({ id: `i${String(i)}` })) }),
        ),
      ).ok;
    expect([peers.most, peers.most + 1].map(many)).toEqual([true, false]);
  });
  test('host and path of a route', () => {
    const route = (host: number, path: number): boolean => {
      const one = { host: 'a'.repeat(host), path: `/${'a'.repeat(path - 1)}`, service: 'shop' };
      const document: Document = { v: 1, service: '@routes', routes: [one] };
      return parseDocument(JSON.stringify(document)).ok;
    };
    const { route_host: host = 0, route_path: path = 0 } = longest;
    expect([route(host, path), route(host + 1, path), route(host, path + 1)]).toEqual([true, false, false]);
  });
});

test('the file is what the tables say', () => {
  expect(contract).toEqual(JSON.parse(JSON.stringify(specContract())));
});
