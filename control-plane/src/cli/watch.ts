import { Refused } from './failure.js';
import { mayPass } from './client.js';
import { isMachine, print, type Format } from './output.js';
import type { Terminal } from './terminal.js';
import { stringify } from 'yaml';

const EVERY_MS = 1_000;

/** One reading: the document for programs, and the table's lines, heads first. */
export interface Reading {
  readonly value: unknown;
  readonly lines: readonly string[];
  /** For people, when there is nothing but heads. */
  readonly none: string;
}

/** Prints a reading once, or with `watch` again at every change until Ctrl-C. */
export async function show(
  terminal: Terminal,
  format: Format,
  watching: boolean,
  read: () => Promise<Reading>,
): Promise<void> {
  if (watching) {
    await watch(terminal, format, read);
    return;
  }
  const reading = await read();
  if (!isMachine(format) && reading.lines.length <= 1) terminal.err(`${reading.none}\n`);
  else print(terminal, format, reading.value, () => reading.lines);
}

/** On a terminal the table is drawn again; elsewhere only lines that were not there before are added. */
async function watch(terminal: Terminal, format: Format, read: () => Promise<Reading>): Promise<void> {
  const signal = terminal.interrupted();
  const draw = isMachine(format)
    ? documents(terminal, format)
    : terminal.tty
      ? redraw(terminal)
      : append(terminal);
  let gone = false;
  while (!signal.aborted) {
    try {
      draw(await read());
      if (gone) terminal.err('the control API is back\n');
      gone = false;
    } catch (error) {
      if (!mayPass(error)) throw error;
      if (!gone)
        terminal.err(`${error.message}; trying again${error instanceof Refused ? '' : ' until Ctrl-C'}\n`);
      gone = true;
    }
    await terminal.pause(EVERY_MS, signal);
  }
}

/** One JSON document a line, or one YAML document behind `---`. */
function documents(terminal: Terminal, format: 'json' | 'yaml'): (reading: Reading) => void {
  let before = '';
  return ({ value }) => {
    const text = format === 'json' ? `${JSON.stringify(value)}\n` : `---\n${stringify(value)}`;
    if (text !== before) terminal.out(text);
    before = text;
  };
}

function redraw(terminal: Terminal): (reading: Reading) => void {
  let before = '';
  return ({ lines, none }) => {
    const shown = lines.length <= 1 ? [none] : lines;
    const text = shown.map((line) => `${line.slice(0, terminal.columns())}\n`).join('');
    if (text !== before) terminal.out(`\x1b[2J\x1b[H${text}`);
    before = text;
  };
}

/** Columns may widen, so lines are compared without their padding. */
function append(terminal: Terminal): (reading: Reading) => void {
  let before: ReadonlySet<string> | undefined;
  return ({ lines }) => {
    const seen = before;
    const fresh = seen ? lines.slice(1).filter((line) => !seen.has(unpadded(line))) : lines;
    terminal.out(fresh.map((line) => `${line}\n`).join(''));
    before = new Set(lines.map(unpadded));
  };
}

function unpadded(line: string): string {
  return line.replaceAll(/ {2,}/g, '  ');
}
