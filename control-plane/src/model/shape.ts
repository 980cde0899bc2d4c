import { own, put } from './dictionary.js';
import { mustBe } from './field.js';

/*
 * Objects described by a table: what each member may be, its default, and what it means. One description serves
 * whoever reads such an object, whoever writes it, and the reference page.
 */

export type Rule =
  | { readonly kind: 'whole'; readonly min: number; readonly max: number }
  | { readonly kind: 'flag' }
  | { readonly kind: 'one_of'; readonly values: readonly string[] }
  | TextRule
  | FormRule
  | { readonly kind: 'list'; readonly of: Rule; readonly most: number }
  /** `[from, to]`, both ends included. */
  | { readonly kind: 'range'; readonly min: number; readonly max: number }
  | { readonly kind: 'object'; readonly members: Members }
  /** A list of objects, no two with the same `name`. */
  | { readonly kind: 'objects'; readonly members: Members; readonly most: number };

/** A text of at most `most` characters (Unicode code points) that matches as a whole. */
export interface TextRule {
  readonly kind: 'text';
  readonly pattern: RegExp;
  readonly most: number;
  /** Ends the sentence "must be …". */
  readonly hint: string;
  /** Examples of what matches and what does not, besides too long ones: every reader of such a text is tested with them. */
  readonly good: readonly string[];
  readonly bad: readonly string[];
}

/** A text of a form that no pattern alone says. */
export interface FormRule {
  readonly kind: 'form';
  readonly fits: (text: string) => boolean;
  /** Ends the sentence "must be …". */
  readonly hint: string;
  /** As of a `TextRule`. */
  readonly good: readonly string[];
  readonly bad: readonly string[];
}

export interface Member {
  readonly rule: Rule;
  /** Its value where nobody gave one; null = none. Absent: whoever gives the object gives this member too. */
  readonly fallback?: unknown;
  /** True: it is on the wire whatever its value; else only where it is not the default. */
  readonly always?: boolean;
  readonly doc: string;
}

/** In the order in which they are written. */
export type Members = Readonly<Record<string, Member>>;

/** What is wrong with one member: its path, and a sentence that goes on behind it ("must be …"). */
export interface Fault {
  readonly path: readonly string[];
  readonly message: string;
}

/**
 * `spec`: what people decided; members may be absent, unknown ones are faults.
 * `wire`: what is published; members that always are there are needed, unknown ones are left out.
 */
export type Reading = 'spec' | 'wire';

/** The members of `given` that `members` knows, in their order; faults are added to `faults`. */
export function readMembers(
  members: Members,
  given: unknown,
  reading: Reading,
  faults: Fault[],
  path: readonly string[] = [],
): Readonly<Record<string, unknown>> {
  if (!isObject(given)) {
    faults.push({ path, message: 'must be an object' });
    return {};
  }
  if (reading === 'spec')
    for (const name of Object.keys(given))
      if (!Object.hasOwn(members, name))
        faults.push({
          path: [...path, name],
          message: `is not known; known: ${Object.keys(members).join(', ')}`,
        });
  const read: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(members)) {
    const value = own(given, name);
    const at = [...path, name];
    if (value === undefined) {
      const needed = member.fallback === undefined || (reading === 'wire' && member.always === true);
      if (needed) faults.push({ path: at, message: 'is missing' });
    } else put(read, name, readValue(member.rule, value, reading, faults, at));
  }
  return read;
}

/** One value by its rule; what is wrong with it is added to `faults`, under `path`. */
export function readValue(
  rule: Rule,
  value: unknown,
  reading: Reading,
  faults: Fault[],
  path: readonly string[] = [],
): unknown {
  if (rule.kind === 'object') return readMembers(rule.members, value, reading, faults, path);
  if (rule.kind === 'objects') return readObjects(rule, value, reading, faults, path);
  const wrong = complaint(rule, value);
  if (wrong !== null) faults.push({ path, message: wrong });
  return value;
}

function readObjects(
  rule: Extract<Rule, { kind: 'objects' }>,
  value: unknown,
  reading: Reading,
  faults: Fault[],
  path: readonly string[],
): readonly unknown[] {
  if (!Array.isArray(value) || value.length > rule.most) {
    faults.push({ path, message: `must be a list of at most ${String(rule.most)}` });
    return [];
  }
  const names = new Set<unknown>();
  return value.map((item: unknown, index) => {
    const at = [...path, String(index)];
    const read = readMembers(rule.members, item, reading, faults, at);
    const name = own(read, 'name');
    if (names.has(name) && name !== undefined)
      faults.push({ path: [...at, 'name'], message: 'is that of another one in the list' });
    names.add(name);
    return read;
  });
}

/** What is wrong with `value`, as the end of a sentence, or null. Objects are read member by member, not here. */
function complaint(rule: Exclude<Rule, { kind: 'object' | 'objects' }>, value: unknown): string | null {
  switch (rule.kind) {
    case 'whole':
      return isWhole(value, rule.min, rule.max) ? null : mustBe.whole(rule.min, rule.max);
    case 'flag':
      return typeof value === 'boolean' ? null : mustBe.flag;
    case 'one_of':
      return typeof value === 'string' && rule.values.includes(value) ? null : mustBe.oneOf(rule.values);
    case 'text':
      return typeof value === 'string' && countCharacters(value) <= rule.most && rule.pattern.test(value)
        ? null
        : `must be ${rule.hint}`;
    case 'form':
      return typeof value === 'string' && rule.fits(value) ? null : `must be ${rule.hint}`;
    case 'range':
      return isRange(value, rule.min, rule.max)
        ? null
        : `must be [from, to] with ${String(rule.min)} ≤ from ≤ to ≤ ${String(rule.max)}`;
    case 'list': {
      if (!Array.isArray(value) || value.length > rule.most)
        return `must be a list of at most ${String(rule.most)}`;
      const { of } = rule;
      if (of.kind === 'object' || of.kind === 'objects')
        throw new TypeError('a list of objects has a rule of its own');
      const index = value.findIndex((item) => complaint(of, item) !== null);
      return index < 0 ? null : `has an item ${String(index + 1)} that ${complaint(of, value[index]) ?? ''}`;
    }
  }
}

/** The object with every default filled in; what nobody gave and has no default is null. */
export function withDefaults(members: Members, given: unknown): Readonly<Record<string, unknown>> {
  const filled: Record<string, unknown> = {};
  const values = isObject(given) ? given : {};
  for (const [name, { rule, fallback }] of Object.entries(members)) {
    put(filled, name, filledValue(rule, own(values, name) ?? fallback ?? null));
  }
  return filled;
}

function filledValue(rule: Rule, value: unknown): unknown {
  if (rule.kind === 'object' && value !== null) return withDefaults(rule.members, value);
  if (rule.kind === 'objects' && Array.isArray(value))
    return value.map((item: unknown) => withDefaults(rule.members, item));
  return value;
}

/** A filled object as it is published: in order, without what is none or equals its default. */
export function onWire(
  members: Members,
  filled: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const written: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(members)) {
    const value = own(filled, name) ?? null;
    if (value === null || (member.always !== true && isDefault(member, value))) continue;
    put(written, name, writtenValue(member.rule, value));
  }
  return written;
}

function writtenValue(rule: Rule, value: unknown): unknown {
  if (rule.kind === 'object' && isObject(value)) return onWire(rule.members, value);
  if (rule.kind === 'objects' && Array.isArray(value))
    return value.map((item: unknown) => (isObject(item) ? onWire(rule.members, item) : item));
  return value;
}

/** True if a filled value is what it would be had nobody said anything. */
export function isDefault(member: Member, value: unknown): boolean {
  const { rule, fallback } = member;
  if (value === fallback) return true;
  if (typeof value !== 'object' || value === null) return false;
  const usual =
    rule.kind === 'object' && isObject(fallback) ? withDefaults(rule.members, fallback) : (fallback ?? null);
  return JSON.stringify(value) === JSON.stringify(usual);
}

/** True for an object that is no list. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** How many characters (Unicode code points) `text` has. */
export function countCharacters(text: string): number {
  return Array.from(text).length;
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

function isRange(value: unknown, min: number, max: number): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [from, to] = value as readonly unknown[];
  return isWhole(from, min, max) && isWhole(to, from, max);
}
