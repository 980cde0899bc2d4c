import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * A page of documentation as a test. Its ```console blocks are transcripts:
 *
 *     $ command          run in one bash, in order, from the repository's root; it must exit 0
 *     > its next line
 *     output             must be what the command printed, on stdout and stderr, line by line
 *
 * A command without output under it may print anything. In the output `…` means anything within a line, a line
 * of `…` for any number of lines, and `~80` for a number near 80. What no two runs share is not compared: moments,
 * ids of operations, epochs, and how many spaces a table needs.
 */

/** One command of a page and what must come of it. */
export interface Step {
  readonly line: number;
  readonly command: string;
  /** Null = nothing is said about it. */
  readonly output: readonly string[] | null;
}

/** The part of a page under one heading. */
export interface Section {
  readonly title: string;
  readonly steps: readonly Step[];
}

/** Blocks that show something and are not run. A command in one of them would be a promise that nobody checks. */
const SHOWN = new Set(['text', 'json']);

/** The sections that have commands. Throws when a block is of a kind that is neither run nor plainly shown. */
export function readTranscript(markdown: string): readonly Section[] {
  const sections: { title: string; steps: Step[] }[] = [{ title: 'before the first heading', steps: [] }];
  let fence: string | null = null;
  let block: { line: number; text: string }[] = [];
  for (const [index, text] of markdown.split('\n').entries()) {
    const mark = /^```(.*)$/.exec(text);
    if (mark && fence === null) [fence, block] = [mark[1] ?? '', []];
    else if (mark) {
      const where = `line ${String(index + 1)}`;
      if (fence === 'console') sections.at(-1)?.steps.push(...readBlock(block));
      else if (!SHOWN.has(fence ?? ''))
        throw new Error(`${where}: a block is console, text or json, not "${fence ?? ''}"`);
      else if (block.some((one) => /^(\$|npx|npm|ebbgate|curl) /.test(one.text)))
        throw new Error(`${where}: a command is in a block that is not run`);
      fence = null;
    } else if (fence !== null) block.push({ line: index + 1, text });
    else if (/^#{2,} /.test(text)) sections.push({ title: text.replace(/^#+ /, ''), steps: [] });
  }
  if (fence !== null) throw new Error('the last block has no end');
  return sections.filter(({ steps }) => steps.length > 0);
}

function readBlock(block: readonly { readonly line: number; readonly text: string }[]): readonly Step[] {
  const steps: { line: number; command: string; output: string[] | null }[] = [];
  for (const { line, text } of block) {
    const last = steps.at(-1);
    if (text.startsWith('$ ')) steps.push({ line, command: text.slice(2), output: null });
    else if (!last) throw new Error(`line ${String(line)}: a console block begins with "$ "`);
    else if (text.startsWith('> ') && last.output === null) last.command += `\n${text.slice(2)}`;
    else (last.output ??= []).push(text);
  }
  return steps;
}

/** What is wrong with `printed`, or null if it is what `expected` says. */
export function compareOutput(expected: readonly string[], printed: string): string | null {
  const wanted = expected.map(plain);
  const got = plain(printed)
    .split('\n')
    .map((line) => line.trimEnd());
  while (got.at(-1) === '') got.pop();
  return matches(wanted, got)
    ? null
    : `expected:\n${wanted.map((line) => `    ${line}`).join('\n')}\nprinted:\n${got.map((line) => `    ${line}`).join('\n')}`;
}

function matches(wanted: readonly string[], got: readonly string[]): boolean {
  const [first, ...rest] = wanted;
  if (first === undefined) return got.length === 0;
  if (first === '…') return got.some((_, skip) => matches(rest, got.slice(skip))) || matches(rest, []);
  return got[0] !== undefined && sameLine(first, got[0]) && matches(rest, got.slice(1));
}

function sameLine(wanted: string, got: string): boolean {
  const numbers: number[] = [];
  const pattern = wanted
    .split(/(…|~\d+)/)
    .map((part) => {
      if (part === '…') return '.*';
      if (!/^~\d+$/.test(part)) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      numbers.push(Number(part.slice(1)));
      return '(\\d+)';
    })
    .join('');
  const found = new RegExp(`^${pattern}$`).exec(got);
  if (!found) return false;
  return numbers.every((number, i) => Math.abs(Number(found[i + 1]) - number) <= Math.max(3, number / 10));
}

/** Without what differs from run to run, and without bash's own words on jobs that were killed. */
function plain(text: string): string {
  return text
    .split('\n')
    .filter((line) => !/^\S+: line \d+: +\d+ (Killed|Terminated|Hangup) /.test(line))
    .map((line) =>
      line
        .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'MOMENT')
        .replace(/\bop-[0-9a-f]{12}\b/g, 'OPERATION')
        .replace(/\b1\d{9}(:\d+)?\b/g, 'POSITION')
        .replace(/ {2,}/g, ' ')
        .trim(),
    )
    .join('\n');
}

/** One bash for a whole page, so that variables and background jobs last. */
export class Shell {
  readonly #bash: ChildProcess;
  readonly #script: string;
  #printed = '';
  #ended = false;
  #count = 0;
  #wake: () => void = () => undefined;

  /** `dir` takes the commands on their way into bash. */
  constructor(options: { readonly cwd: string; readonly dir: string; readonly env: NodeJS.ProcessEnv }) {
    this.#script = join(options.dir, 'step.sh');
    this.#bash = spawn('bash', ['--noprofile', '--norc'], {
      cwd: options.cwd,
      env: options.env,
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    });
    this.#bash.stdout?.on('data', (chunk: Buffer) => {
      this.#printed += chunk.toString();
      this.#wake();
    });
    this.#bash.once('exit', () => {
      this.#ended = true;
      this.#wake();
    });
    this.#bash.stdin?.on('error', () => undefined).write('exec 2>&1\n');
  }

  /** Runs one command to its end; what it put into the background goes on. Throws when it takes too long. */
  async run(
    command: string,
    { timeoutMs = 90_000 }: { readonly timeoutMs?: number } = {},
  ): Promise<{ readonly code: number; readonly printed: string }> {
    this.#count += 1;
    const end = new RegExp(`(?:^|\n)--step ${String(this.#count)} ended (\\d+)--\n`);
    this.#printed = '';
    writeFileSync(this.#script, `${command}\n`);
    this.#bash.stdin?.write(
      `. ${this.#script} </dev/null; printf '\\n--step ${String(this.#count)} ended %d--\\n' $?\n`,
    );
    const late = AbortSignal.timeout(timeoutMs);
    late.addEventListener('abort', () => {
      this.#wake();
    });
    for (;;) {
      const found = end.exec(this.#printed);
      if (found) return { code: Number(found[1]), printed: this.#printed.slice(0, found.index) };
      if (this.#ended || late.aborted)
        throw new Error(
          `${this.#ended ? 'bash has ended' : 'no end'}: ${command}\nprinted:\n${this.#printed}`,
        );
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Kills bash and what still runs in its process group. */
  close(): void {
    const { pid } = this.#bash;
    if (pid === undefined || this.#ended) return;
    process.kill(-pid, 'SIGKILL');
  }
}
