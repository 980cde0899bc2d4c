/** A word, number or sign of Lua as it is written; of a string its text without the quotes. `line` counts from 1. */
export interface LuaToken {
  readonly kind: 'name' | 'string' | 'other';
  readonly text: string;
  readonly line: number;
}

/** What Lua's lexer sees, the longer first: comments and strings end where they end, whatever they contain. */
const TOKEN =
  /--\[(?<c>=*)\[[^]*?\]\k<c>\]|--(?<comment>[^\n]*)|\[(?<s>=*)\[(?<long>[^]*?)\]\k<s>\]|"(?<double>(?:\\[^]|[^"\\\n])*)"|'(?<single>(?:\\[^]|[^'\\\n])*)'|(?<name>[A-Za-z_]\w*)|(?<other>\d[\w.]*|\.{2,3}|\S)/g;

/** The tokens of a Lua source, comments left out. `comments` takes the text of each comment of one line. */
export function luaTokens(source: string, comments: string[] = []): readonly LuaToken[] {
  const tokens: LuaToken[] = [];
  let line = 1;
  let read = 0;
  for (const match of source.matchAll(TOKEN)) {
    line += source.slice(read, match.index).split('\n').length - 1;
    read = match.index;
    const { comment, long, double, single, name, other } = match.groups ?? {};
    if (comment !== undefined) comments.push(comment);
    const string = long ?? double ?? single;
    if (string !== undefined) tokens.push({ kind: 'string', text: string, line });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name, line });
    else if (other !== undefined) tokens.push({ kind: 'other', text: other, line });
  }
  return tokens;
}
