/*
 * Patterns of routes: the part of regular expressions that this control plane and the gateways' PCRE read alike, and that
 * takes a bounded time for any text. A pattern is always of a whole text: it has no `^` and no `$`.
 *
 * Why the time is bounded: a text is at most LONGEST_TEXT bytes; what is repeated is one character, never a group, so nothing is
 * repeated inside a repetition; at most one repetition may give back characters, since of all others the next character
 * decides where they end; and all choices (`|`, `?`) multiply to at most MOST_CHOICES.
 */

/** A longer text matches no pattern, here and in a gateway. */
export const LONGEST_TEXT = 1_024;
export const LONGEST_PATTERN = 256;
const MOST_CHOICES = 32;
/** The same where a repetition may give back characters and another one is tried again for each of them. */
const MOST_CHOICES_REPEATED = 8;
const MOST_TIMES = 64;

/** The characters of an atom, by their codes. */
type Characters = ReadonlySet<number>;

type Node =
  | { readonly kind: 'one'; readonly of: Characters }
  | { readonly kind: 'many'; readonly of: Characters; readonly min: number; readonly max: number }
  | { readonly kind: 'maybe'; readonly node: Node }
  | { readonly kind: 'row'; readonly nodes: readonly Node[] }
  | { readonly kind: 'either'; readonly nodes: readonly Node[] };

/** Thrown inside this file alone: what is wrong, as the end of a sentence. */
class Fault extends Error {}

/** What is wrong with a pattern, as a sentence that goes on behind its name ("must …"), or null. */
export function patternFault(text: string): string | null {
  if (text.length === 0 || text.length > LONGEST_PATTERN || !/^[\x20-\x7e]*$/.test(text))
    return `must have 1 to ${String(LONGEST_PATTERN)} printable characters of ASCII`;
  try {
    const counts = { choices: 1, repeated: 0, unsure: 0 };
    weigh(new Reader(text).pattern(), new Set(), counts);
    if (counts.unsure > 1)
      return 'must have at most one repetition behind which one of its own characters may come: say what cannot be in it, as in [^/]+ for .+';
    const most = counts.unsure > 0 && counts.repeated > 1 ? MOST_CHOICES_REPEATED : MOST_CHOICES;
    if (counts.choices > most)
      return `must have at most ${String(most)} ways through its | and ?: it has ${String(counts.choices)}`;
    return null;
  } catch (error) {
    if (error instanceof Fault) return error.message;
    throw error;
  }
}

/** The test of a whole text by a pattern that has no fault. Each character of `text` is a byte. */
export function compilePattern(pattern: string): (text: string) => boolean {
  const whole = new RegExp(`^(?:${pattern})$`, 's');
  return (text) => text.length <= LONGEST_TEXT && whole.test(text);
}

const ALL: Characters = new Set(Array.from({ length: 256 }, (_, code) => code));
const DIGITS = charactersOf('0123456789');
const WORD = charactersOf('0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_');
const CLASSES: ReadonlyMap<string, Characters> = new Map([
  ['d', DIGITS],
  ['D', without(DIGITS)],
  ['w', WORD],
  ['W', without(WORD)],
]);

function charactersOf(text: string): Characters {
  return new Set(Array.from(text, (character) => character.charCodeAt(0)));
}

function without(those: Characters): Characters {
  return new Set([...ALL].filter((code) => !those.has(code)));
}

/** Reads a pattern from the left. */
class Reader {
  #at = 0;

  constructor(private readonly text: string) {}

  pattern(): Node {
    const node = this.#either();
    if (this.#at < this.text.length) throw new Fault('must have a ( for each )');
    return node;
  }

  get #next(): string {
    return this.text.charAt(this.#at);
  }

  #take(): string {
    return this.text.charAt(this.#at++);
  }

  #either(): Node {
    const nodes = [this.#row()];
    while (this.#next === '|') {
      this.#at += 1;
      nodes.push(this.#row());
    }
    return nodes.length === 1 && nodes[0] ? nodes[0] : { kind: 'either', nodes };
  }

  #row(): Node {
    const nodes: Node[] = [];
    while (this.#next !== '' && this.#next !== '|' && this.#next !== ')') nodes.push(this.#repeated());
    if (nodes.length === 0) throw new Fault('must say something on each side of | and inside of ( )');
    return { kind: 'row', nodes };
  }

  #repeated(): Node {
    const node = this.#atom();
    const times = this.#times();
    if (times === null) return node;
    if (/[*+?{]/.test(this.#next) && this.#next !== '')
      throw new Fault('must not have one repetition behind another');
    const { min, max } = times;
    if (min === 0 && max === 1) return { kind: 'maybe', node };
    if (node.kind !== 'one')
      throw new Fault('must not repeat a group: only one character, . or a class, or a group with ?');
    return { kind: 'many', of: node.of, min, max };
  }

  #times(): { readonly min: number; readonly max: number } | null {
    const { text } = this;
    if (this.#next === '*' || this.#next === '+' || this.#next === '?') {
      const sign = this.#take();
      return { min: sign === '+' ? 1 : 0, max: sign === '?' ? 1 : Infinity };
    }
    if (this.#next !== '{') return null;
    const found = /^\{(\d{1,3})(?:(,)(\d{1,3})?)?\}/.exec(text.slice(this.#at));
    if (!found) throw new Fault('must have numbers in { }, or \\{ for the character');
    this.#at += found[0].length;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === undefined ? Infinity : Number(found[3]);
    if (min > MOST_TIMES || (max !== Infinity && max > MOST_TIMES) || max < min || max === 0)
      throw new Fault(`must have numbers in { } from 0 to ${String(MOST_TIMES)}, in order`);
    return { min, max };
  }

  #atom(): Node {
    const character = this.#take();
    switch (character) {
      case '(':
        return this.#group();
      case '[':
        return { kind: 'one', of: this.#class() };
      case '.':
        return { kind: 'one', of: ALL };
      case '\\':
        return { kind: 'one', of: this.#escaped() };
      case '^':
      case '$':
        throw new Fault(
          `must not have ${character}: it is always of the whole text (\\${character} is the character)`,
        );
      case '*':
      case '+':
      case '?':
      case '{':
      case '}':
      case ']':
        throw new Fault(
          `must have something before ${character} to repeat, or \\${character} for the character`,
        );
      default:
        return { kind: 'one', of: charactersOf(character) };
    }
  }

  #group(): Node {
    if (this.#next === '?') {
      if (!this.text.startsWith('?:', this.#at))
        throw new Fault('must not look ahead or behind, nor have options or names: of (?…) only (?:…)');
      this.#at += 2;
    }
    const node = this.#either();
    if (this.#take() !== ')') throw new Fault('must have a ) for each (');
    // A group of one character is still a group.
    return { kind: 'row', nodes: [node] };
  }

  #escaped(): Characters {
    const character = this.#take();
    const known = CLASSES.get(character);
    if (known) return known;
    if (character === '' || /[A-Za-z0-9]/.test(character))
      throw new Fault(
        `must not have \\${character}: there are \\d \\D \\w \\W, and \\ before a character that is no letter or digit`,
      );
    return charactersOf(character);
  }

  #class(): Characters {
    const isNegated = this.#next === '^';
    if (isNegated) this.#at += 1;
    const found = new Set<number>();
    while (this.#next !== ']') {
      const low = this.#classItem();
      if (this.#next === '-' && this.text.charAt(this.#at + 1) !== ']') {
        this.#at += 1;
        for (const code of rangeOf(low, this.#classItem())) found.add(code);
      } else for (const code of low) found.add(code);
    }
    this.#at += 1;
    if (found.size === 0) throw new Fault('must have something in each [ ]');
    return isNegated ? without(found) : found;
  }

  #classItem(): Characters {
    const character = this.#take();
    if (character === '') throw new Fault('must have a ] for each [');
    if (character === '[') throw new Fault('must have \\[ for the character inside of [ ]');
    return character === '\\' ? this.#escaped() : charactersOf(character);
  }
}

function rangeOf(low: Characters, high: Characters): readonly number[] {
  const [[from = 0], [to = 0]] = [[...low], [...high]];
  if (low.size !== 1 || high.size !== 1 || from > to)
    throw new Fault('must have ranges like a-z in [ ], in order');
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

interface Counts {
  choices: number;
  /** Repetitions of no fixed number. */
  repeated: number;
  /** Repetitions that may have to give back what they took. */
  unsure: number;
}

/** What a node may begin with, given what may come behind it. */
function firstOf(node: Node, behind: Characters): Characters {
  switch (node.kind) {
    case 'one':
      return node.of;
    case 'many':
      return node.min > 0 ? node.of : union([node.of, behind]);
    case 'maybe':
      return union([firstOf(node.node, behind), behind]);
    case 'row':
      return node.nodes.reduceRight((after, one) => firstOf(one, after), behind);
    case 'either':
      return union(node.nodes.map((one) => firstOf(one, behind)));
  }
}

function union(sets: readonly Characters[]): Characters {
  return new Set(sets.flatMap((one) => [...one]));
}

/** Counts what a matcher may have to try again. `behind`: what may come behind the node. */
function weigh(node: Node, behind: Characters, counts: Counts): void {
  switch (node.kind) {
    case 'one':
      return;
    case 'many':
      if (node.min === node.max) return;
      counts.repeated += 1;
      if ([...node.of].some((code) => behind.has(code))) counts.unsure += 1;
      return;
    case 'maybe':
      counts.choices *= 2;
      weigh(node.node, behind, counts);
      return;
    case 'either':
      counts.choices *= node.nodes.length;
      for (const one of node.nodes) weigh(one, behind, counts);
      return;
    case 'row':
      node.nodes.reduceRight((after, one) => {
        weigh(one, after, counts);
        return firstOf(one, after);
      }, behind);
  }
}
