import { expect, it } from 'vitest';
import type { ReleaseEvent } from '../model/release.js';
import type { ReleaseResource } from '../model/release_resources.js';
import { makeRelease } from '../testing/memory_releases.js';
import { createRecordingTerminal } from '../testing/recording_terminal.js';
import { lines, screen, type Watched, type Watching } from './release_watch.js';

/*
 * What people see of a release from its start to its end, as files: on a terminal, and where nothing can be drawn again.
 */

const AT = Date.parse('2026-05-01T12:00:00Z');
const moment = (seconds: number): string => new Date(AT + seconds * 1_000).toISOString();

const EVENTS: readonly ReleaseEvent[] = (
  [
    ['started', 'ann', 'release of shop from v1 to v2 (new prices)'],
    ['preparing', 'controller', 'waiting for the gateways'],
    ['step_begun', 'controller', 'step 1/3 {weight: 5}: v1 95 %, v2 5 %'],
    ['converging', 'controller', 'published; waiting for the gateways'],
    ['warming', 'controller', 'every known gateway obeys'],
    ['step_begun', 'controller', 'step 2/3 {pause: 2m}'],
    ['rolling_back', 'controller', 'fast gate: 60.0 % of 70 requests failed'],
    ['rolled_back', 'controller', 'v1 serves alone; fast gate: 60.0 % of 70 requests failed'],
  ] as const
).map(([event, by, message], index) => ({ n: index + 1, at: moment(index * 5), event, by, message }));

function at(events: number, parts: Partial<ReleaseResource>, blockers: readonly string[] = []): Watched {
  const seen = EVENTS.slice(0, events);
  const { at: since = moment(0), message = '' } = seen.at(-1) ?? {};
  return { release: makeRelease({ gates: [], since, message, ...parts }), events: seen, blockers };
}

const ALL_V1 = { wanted: { v1: 100 }, published: { v1: 100 }, applied_on: 2, gateways: 2 };
const gate = { gate: 'errors', stable: 0.4, limit: 1, message: '' } as const;
const STORY: readonly Watched[] = [
  at(2, {
    ...{ state: 'preparing', phase: null, step: 0, shares: ALL_V1 },
    waiting_for: ['a ready instance of v2'],
  }),
  at(2, {
    ...{ state: 'preparing', phase: null, step: 0, shares: ALL_V1 },
    waiting_for: ['a ready instance of v2', 'gateway gw-2 is silent for 3 s'],
  }),
  // Between two looks a step began, and the gateways are following.
  at(4, {
    ...{ phase: 'converging', step: 0, waiting_for: ['gateway gw-2 is silent for 4 s'] },
    shares: { wanted: { v1: 95, v2: 5 }, published: { v1: 95, v2: 5 }, applied_on: 1, gateways: 2 },
  }),
  at(6, {
    waiting_for: ['90 s more of soaking'],
    gates: [
      { ...gate, verdict: 'inconclusive', value: null, target: null, samples: { target: 0, stable: 40 } },
    ] as ReleaseResource['gates'],
  }),
  at(
    6,
    {
      waiting_for: ['60 s more of soaking'],
      gates: [
        { ...gate, verdict: 'pass', value: 0.5, target: 0.5, samples: { target: 200, stable: 3_800 } },
      ] as ReleaseResource['gates'],
    },
    ['shop is frozen by bob until 2026-05-01T14:00:00.000Z: payday'],
  ),
  at(6, { waiting_for: ['59 s more of soaking'] }, [
    'shop is frozen by bob until 2026-05-01T14:00:00.000Z: payday',
  ]),
  at(7, {
    ...{ state: 'rolling_back', phase: null, failures: 1, failure_limit: 0, shares: ALL_V1 },
    waiting_for: ['gateway gw-2 is silent for 9 s'],
  }),
  at(8, {
    ...{ state: 'rolled_back', phase: null, shares: ALL_V1, ended_at: moment(35), waiting_for: [] },
  }),
];

function play(watching: Watching): void {
  for (const [index, now] of STORY.entries()) {
    watching.show(now);
    watching.show(now); // what has not changed is not shown again
    if (index === 3) {
      watching.note('unavailable: the control API cannot be reached; trying again');
      watching.note('the control API is back');
    }
  }
}

it('a line for everything that happens, and for what it waits for', async () => {
  const terminal = createRecordingTerminal();
  play(lines(terminal));
  await expect(terminal.stdout()).toMatchFileSnapshot('__snapshots__/release_watch_lines.txt');
  expect(terminal.stderr()).toContain('the control API is back');
});

it('one screen, drawn in place, and again below what was noted', async () => {
  const terminal = createRecordingTerminal({ tty: true, columns: 110 });
  play(screen(terminal));
  const drawn = terminal
    .stdout()
    .replaceAll('\u001b', '<ESC>')
    .replaceAll(/<ESC>\[(\d+)A<ESC>\[0J/g, (_all, up: string) => `---- up ${up} ----\n`);
  await expect(drawn).toMatchFileSnapshot('__snapshots__/release_watch_screen.txt');
  // Every redraw goes up by exactly what was there.
  const pictures = drawn.split(/---- up (\d+) ----\n/);
  for (let index = 1; index < pictures.length; index += 2) {
    const above = pictures[index - 1] ?? '';
    const height = above.split('release rel-1').at(-1)?.split('\n').length ?? 0;
    expect(Number(pictures[index])).toBe(height - 1);
  }
});

it('a screen is never longer than its window', () => {
  const terminal = { ...createRecordingTerminal({ tty: true }), rows: () => 10 };
  screen(terminal).show(STORY[4]!);
  expect(terminal.stdout().split('\n')).toHaveLength(10);
  expect(terminal.stdout()).toContain('  …\n');
});
