import { type ReleaseEvent, hasEnded } from '../model/release.js';
import type { HashedPlan, ReleaseResource } from '../model/release_resources.js';
import { path, type ApiClient } from './client.js';
import { CliFailure, EXIT } from './failure.js';
import { milliseconds, type CommonFlags } from './flags.js';
import { follow } from './follow.js';
import { isMachine, print } from './output.js';
import { changeLine, eventLine, releaseLines, waitsLine } from './release_text.js';
import type { Terminal } from './terminal.js';

/** Everything about a release at one moment. */
export interface Watched {
  readonly release: ReleaseResource;
  /** Oldest first. */
  readonly events: readonly ReleaseEvent[];
  /** What blocks the next step now. */
  readonly blockers: readonly string[];
}

/** Shows a release as it comes on. What was shown last stays. */
export interface Watching {
  readonly show: (now: Watched) => void;
  readonly note: (text: string) => void;
}

interface WatchFlags extends CommonFlags {
  readonly timeout?: string;
}

interface Items<T> {
  readonly items: readonly T[];
}

/** How often the API is asked: every answer is whole, so nothing is lost while it is away. */
const SLICE_MS = 1_000;

/**
 * Shows every change until the release has ended, through restarts of the API. Fails with 3 unless it succeeded, with 6 if another
 * one took its place, and with 4 when time runs out.
 */
export async function watchToEnd(
  terminal: Terminal,
  client: ApiClient,
  flags: WatchFlags,
  id: string,
): Promise<void> {
  const machine = isMachine(flags.output);
  const watching = machine ? silent(terminal) : terminal.tty ? screen(terminal) : lines(terminal);
  const timeoutMs = flags.timeout === undefined ? null : milliseconds(flags.timeout);
  const { note } = watching;
  const options = { client, terminal, note, timeoutMs, resume: `ebbgate release watch ${id}` };
  const ended = await follow(
    options,
    async (waitMs, signal) => {
      const { body: release } = await client.get<ReleaseResource>(path('releases', id), { waitMs, signal });
      const [events, plan] = await Promise.all([
        client.get<Items<ReleaseEvent>>(path('releases', id, 'events'), { signal }),
        client.get<HashedPlan>(path('releases', id, 'plan'), { signal }),
      ]);
      watching.show({ release, events: events.body.items, blockers: plan.body.blockers });
      return release;
    },
    ({ state }) => hasEnded(state),
    SLICE_MS,
  );
  if (machine) print(terminal, flags.output, ended, () => []);
  if (ended.state === 'succeeded') return;
  throw new CliFailure(
    ended.state === 'superseded' ? EXIT.conflict : EXIT.wentBack,
    `release ${id} ended ${ended.state}: ${ended.message}`,
    ended.state === 'superseded' ? [`next: ebbgate release watch ${ended.service}`] : [],
  );
}

function silent(terminal: Terminal): Watching {
  return {
    show: () => undefined,
    note: (text) => {
      terminal.err(`${text}\n`);
    },
  };
}

/**
 * Where nothing can be drawn again: its state, then one line for everything that happens, none of it lost between two looks,
 * and one whenever it waits for something else; numbers that only count make no line.
 */
export function lines(terminal: Pick<Terminal, 'out' | 'err'>): Watching {
  let [last, waits, state] = [null as number | null, '', ''];
  const say = (line: string): void => {
    terminal.out(`${line}\n`);
  };
  return {
    show: (now) => {
      const { release, events } = now;
      if (last === null) say(changeLine(release));
      const fresh = events.filter(({ n }) => n > (last ?? Infinity));
      for (const event of fresh) say(eventLine(event));
      const began = last === null;
      last = events.at(-1)?.n ?? last ?? 0;
      const line = waitsLine(now);
      const key = line.replaceAll(/\d+ (?=s\b|ms\b|open\b|requests?\b)/g, '');
      if (key !== waits && line !== '') say(line);
      waits = key;
      if (!began && hasEnded(release.state) && state !== release.state) say(changeLine(release));
      state = release.state;
    },
    note: (text) => {
      terminal.err(`${text}\n`);
    },
  };
}

/** One screen, drawn in place. */
export function screen(terminal: Pick<Terminal, 'out' | 'err' | 'columns' | 'rows'>): Watching {
  let [before, drawn] = ['', 0];
  return {
    show: ({ release, events, blockers }) => {
      const width = Math.max(20, terminal.columns() - 1);
      const height = Math.max(10, terminal.rows?.() ?? 24) - 1;
      const all = releaseLines(release, events, blockers).map((line) => line.slice(0, width));
      // What is above the top of the window cannot be drawn again.
      const shown = all.length <= height ? all : [...all.slice(0, height - 1), '  …'];
      const text = shown.map((line) => `${line}\n`).join('');
      if (text === before) return;
      terminal.out(`${drawn === 0 ? '' : `\x1b[${String(drawn)}A\x1b[0J`}${text}`);
      [before, drawn] = [text, shown.length];
    },
    note: (text) => {
      terminal.err(`${text}\n`);
      [before, drawn] = ['', 0]; // the cursor is below what was drawn; the next state starts again
    },
  };
}
