/*
 * Which characters a text may contain that people see: a reason, a label, a name. One place decides, because a log line, a
 * terminal and a page all show what it lets through.
 */

/**
 * What no text may contain: control characters (C0, DEL, C1 with NEL), line and paragraph separators, what turns the direction
 * of what follows (embeddings, forced directions, isolates), lone surrogates, noncharacters, and the mark that a text was damaged on
 * its way (U+FFFD). See Unicode TR 36, and CVE-2021-42574 for what a turned direction does to a reader.
 */
const UNFIT = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffd\p{Noncharacter_Code_Point}]/u;
/** The same for a text of several lines. */
const UNFIT_IN_LINES =
  /(?![\t\n\r])[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffd\p{Noncharacter_Code_Point}]/u;

/** The first character that a text of one line, or of several, may not contain, as `U+202E`; null if there is none. */
export function unfitCharacter(text: string, lines: 'one' | 'several' = 'one'): string | null {
  const found = (lines === 'one' ? UNFIT : UNFIT_IN_LINES).exec(text)?.[0];
  return found === undefined ? null : codePoint(found);
}

/** `U+202E` for a character. */
export function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** A character for a message: itself where that can be seen, with its number. */
export function spellCharacter(character: string): string {
  const seen = /^[\x21-\x7e]$/.test(character) ? `"${character}" ` : '';
  return `${seen}${seen === '' ? codePoint(character) : `(${codePoint(character)})`}`;
}

/** `text` for a message about it: what it may not contain is written as its number. */
export function spelled(text: string): string {
  return text.replace(new RegExp(UNFIT.source, 'gu'), (one) => `<${codePoint(one)}>`);
}

/**
 * The first text anywhere in `value` (members' names, too) that contains an unfit character: the path of its member, and the
 * character. Tabs and line ends pass: whoever takes one line only says so itself.
 */
export function findUnfit(
  value: unknown,
  path: readonly string[] = [],
): { readonly path: readonly string[]; readonly character: string } | null {
  if (typeof value === 'string') {
    const character = unfitCharacter(value, 'several');
    return character === null ? null : { path, character };
  }
  if (typeof value !== 'object' || value === null) return null;
  for (const [name, member] of Object.entries(value)) {
    const inName = Array.isArray(value) ? null : unfitCharacter(name);
    if (inName !== null) return { path: [...path, spelled(name)], character: inName };
    const found = findUnfit(member, [...path, name]);
    if (found) return found;
  }
  return null;
}
