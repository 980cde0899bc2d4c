import { own, put } from '../model/dictionary.js';
import { DURATION_HINT, formatDuration, parseDuration } from '../model/duration.js';
import type { EffectiveSpec } from '../model/resources.js';
import type { SpecPatch } from '../model/mutation.js';
import { ROUTE_MEMBERS, type RouteSpec } from '../model/route.js';
import { SECTIONS } from '../model/service_spec.js';
import { isDefault, isObject, onWire, type Member, type Members, type Rule } from '../model/shape.js';
import { CliFailure, EXIT } from './failure.js';

/*
 * A service's spec as people type and read it: `health.check.interval_ms=10s`, typed by the table of the spec.
 */

/** What can be set besides routes, which have a command of their own. */
const MEMBERS: Members = {
  ...SECTIONS,
  min_available: {
    rule: { kind: 'whole', min: 0, max: 10_000 },
    fallback: 1,
    doc: 'guards refuse what would leave fewer',
  },
  version_fallback: {
    rule: { kind: 'flag' },
    fallback: true,
    doc: 'the version before serves while nobody of a version with a share can',
  },
};

/** `PATH=VALUE` words as one merge patch; `PATH=` takes a member, or a whole section, back to its default. */
export function specPatch(words: readonly string[]): SpecPatch {
  return patchOf(words, MEMBERS, 'retry.tries=3');
}

/** The same for any object that a table describes. `example` is a word that would do. */
export function patchOf(
  words: readonly string[],
  members: Members,
  example: string,
): Readonly<Record<string, unknown>> {
  const patch: Record<string, unknown> = {};
  for (const word of words) {
    const at = word.indexOf('=');
    if (at < 1) throw usage(`${JSON.stringify(word)} is not of the form PATH=VALUE, like ${example}`);
    const path = word.slice(0, at).split('.');
    enter(patch, path, valueOf(members, path, word.slice(at + 1)), word);
  }
  return patch;
}

function enter(patch: Record<string, unknown>, path: readonly string[], value: unknown, word: string): void {
  let inner = patch;
  for (const name of path.slice(0, -1)) {
    const known = own(inner, name);
    const next = known === undefined ? {} : known;
    if (known === undefined) put(inner, name, next);
    if (!isObject(next)) throw usage(`${JSON.stringify(word)} contradicts an earlier word`);
    inner = next;
  }
  const last = path.at(-1) ?? '';
  if (Object.hasOwn(inner, last)) throw usage(`${path.join('.')} is given twice`);
  put(inner, last, value);
}

function valueOf(members: Members, path: readonly string[], text: string): unknown {
  const { rule } = find(members, path);
  if (text === '') return null;
  const value = typed(rule, text, path.at(-1) ?? '');
  if (value === undefined)
    throw usage(
      `${path.join('.')} must be ${expected(rule, path.at(-1) ?? '')}, not ${JSON.stringify(text)}`,
    );
  return value;
}

function find(all: Members, path: readonly string[]): Member {
  let members = all;
  for (const [depth, name] of path.entries()) {
    const member = Object.hasOwn(members, name) ? members[name] : undefined;
    if (!member) {
      const where = path.slice(0, depth);
      const known = Object.keys(members).map((one) => [...where, one].join('.'));
      const hint = name === 'routes' ? ['next: ebbgate route --help'] : [];
      throw new CliFailure(EXIT.usage, `${path.join('.')} is not known; known: ${known.join(', ')}`, hint);
    }
    if (depth === path.length - 1) return member;
    members = member.rule.kind === 'object' ? member.rule.members : {};
  }
  throw usage('a path is empty');
}

/** The value that `text` means; undefined if none. The API checks limits, because it names the field. */
function typed(rule: Rule, text: string, name: string): unknown {
  switch (rule.kind) {
    case 'whole':
      return /^\d{1,9}$/.test(text) ? Number(text) : duration(text, name);
    case 'flag':
      return text === 'true' ? true : text === 'false' ? false : undefined;
    case 'list': {
      const items = text.split(',').map((item) => typed(rule.of, item.trim(), ''));
      return items.includes(undefined) ? undefined : items;
    }
    case 'range': {
      const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(text);
      return match ? [Number(match[1]), Number(match[2] ?? match[1])] : undefined;
    }
    case 'object':
      return undefined;
    case 'objects':
      return parsedList(text);
    default:
      return text;
  }
}

function parsedList(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Members that end in their unit take durations too. */
function duration(text: string, name: string): number | undefined {
  const unit = name.endsWith('_ms') ? 1 : name.endsWith('_age_s') ? 1_000 : 0;
  const parsed = parseDuration(text);
  return unit > 0 && parsed.ok && parsed.value % unit === 0 ? parsed.value / unit : undefined;
}

function expected(rule: Rule, name: string): string {
  if (rule.kind === 'whole')
    return duration('1s', name) === undefined ? 'a whole number' : `a whole number, or ${DURATION_HINT}`;
  if (rule.kind === 'flag') return 'true or false';
  if (rule.kind === 'list')
    return rule.of.kind === 'range'
      ? 'ranges like 200-299,304'
      : rule.of.kind === 'whole'
        ? 'whole numbers like 500,503'
        : `a list with commas, each ${expected(rule.of, '')}`;
  if (rule.kind === 'objects')
    return `a list of objects as JSON, each with ${Object.keys(rule.members).join(', ')}`;
  if (rule.kind === 'object')
    return `given by its members (${Object.keys(rule.members).join(', ')}), or empty for its default`;
  return 'text';
}

/** A value as `specPatch` reads it back; nothing at all is `none`. */
function shown(value: unknown, name: string): string {
  if (value === null || value === '' || (Array.isArray(value) && value.length === 0)) return 'none';
  if (typeof value === 'number' && name.endsWith('_ms')) return formatDuration(value);
  if (typeof value === 'number' && name.endsWith('_age_s')) return formatDuration(value * 1_000);
  if (Array.isArray(value))
    return (value as readonly unknown[])
      .map((item) =>
        Array.isArray(item) ? [...new Set(item as readonly unknown[])].join('-') : String(item),
      )
      .join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/**
 * An effective spec in two lists: what was decided, one `PATH=VALUE` each, as `ebbgate set service` takes them; and what is
 * as it always is, a line per section.
 */
export function specLines(spec: EffectiveSpec): {
  readonly decided: readonly string[];
  readonly usual: readonly string[];
} {
  const lines = Object.entries(MEMBERS).flatMap(([name, member]) =>
    leaves(member, [name], own(spec as unknown as Record<string, unknown>, name)),
  );
  const usual = new Map<string, string[]>();
  for (const { path, text, decided } of lines)
    if (!decided) {
      const [section = '', ...rest] = path;
      const shortened = rest.length === 0 ? text : `${rest.join('.')}=${text}`;
      usual.set(section, [...(usual.get(section) ?? []), shortened]);
    }
  return {
    decided: lines.filter((line) => line.decided).map(({ path, text }) => `${path.join('.')}=${text}`),
    usual: [...usual].map(([section, parts]) => `${section}: ${parts.join(' ')}`),
  };
}

/** A route in one line, with what it says more as `ebbgate route` takes it: `* /api name=writes methods=POST,PUT`. */
export function routeLine(route: RouteSpec): string {
  const more = Object.entries(ROUTE_MEMBERS).flatMap(([name, member]) => {
    const value = own(route as unknown as Record<string, unknown>, name);
    return value === undefined ? [] : leaves(member, [name], value);
  });
  const words = more.filter(({ decided }) => decided).map(({ path, text }) => `${path.join('.')}=${text}`);
  return [route.host, route.path, ...words].join(' ');
}

interface Leaf {
  readonly path: readonly string[];
  readonly text: string;
  readonly decided: boolean;
}

/** `there`: somebody gave the object that it is in, so that even a usual value of its first member says something. */
function leaves(member: Member, path: readonly string[], value: unknown, there = false): readonly Leaf[] {
  const { rule, fallback } = member;
  if (rule.kind === 'object' && isObject(value))
    return Object.entries(rule.members).flatMap(([name, inner]) =>
      leaves(inner, [...path, name], own(value, name), fallback === null),
    );
  const decided = !isDefault(member, value) || (there && member.always === true);
  if (rule.kind === 'objects' && Array.isArray(value) && value.length > 0) {
    const items = value.map((item: unknown) => (isObject(item) ? onWire(rule.members, item) : item));
    return [{ path, text: JSON.stringify(items), decided }];
  }
  return [{ path, text: shown(value, path.at(-1) ?? ''), decided }];
}

function usage(message: string): CliFailure {
  return new CliFailure(EXIT.usage, message, ['next: ebbgate set service --help']);
}
