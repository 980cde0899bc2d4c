import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { createRecordingTerminal } from '../testing/recording_terminal.js';
import { EXIT } from './failure.js';
import { addApiCommands, createProgram } from './program.js';

const reference = readFileSync(new URL('../../../docs/reference/cli.md', import.meta.url), 'utf8');
const terminal = createRecordingTerminal();
const program = createProgram('1', terminal);
addApiCommands(program, terminal);

function leaves(command: Command, name: string): { name: string; command: Command }[] {
  const below = command.commands.filter((one) => one.name() !== 'help');
  if (below.length === 0) return [{ name, command }];
  return below.flatMap((one) => leaves(one, `${name} ${one.name()}`));
}
const commands = leaves(program, 'ebbgate');

function written(command: Command): string {
  return command.registeredArguments
    .map((one) => {
      const inner = `${one.name()}${one.variadic ? '...' : ''}`;
      return one.required ? ` <${inner}>` : ` [${inner}]`;
    })
    .join('');
}

it('lists every command with its arguments', () => {
  const rows = [...reference.matchAll(/^\| `(ebbgate [^`]+)`/gm)].map((match) => match[1]);
  expect(rows.sort()).toEqual(commands.map(({ name, command }) => name + written(command)).sort());
});

it('lists every flag, and no other', () => {
  const rows = [...reference.matchAll(/^\| `(--[a-z-]+)`/gm)].map((match) => match[1]);
  const flags = new Set(commands.flatMap(({ command }) => command.options.map((option) => option.long)));
  expect(rows.sort()).toEqual([...flags].sort());
});

it('lists every exit code', () => {
  const rows = [...reference.matchAll(/^\| (\d) +\|/gm)].map((match) => Number(match[1]));
  expect(rows).toEqual(Object.values(EXIT).filter((code) => code !== EXIT.interrupted));
});
