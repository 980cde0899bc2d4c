import type { PauseLayer, Paused, ReleaseRecord } from '../../model/release.js';
import { note } from './record.js';

/*
 * Pauses of a release, over one another. Nobody's pause goes in silence.
 */

interface Who {
  readonly by: string;
}

/** What a verb that ends a pause says of the people who had paused. */
export function pastPauses({ paused }: ReleaseRecord, { by }: Who): string {
  const layers = paused ? [paused, ...(paused.over ?? [])] : [];
  const others = layers.filter((one) => one.cause === 'person' && one.by !== by);
  return others.map(({ message }) => `; past the pause of another: ${message}`).join('');
}

/** How many pauses lie over one another. */
const MOST_PAUSES = 5;

/**
 * A person's pause lies over whatever has paused it: what that waits for may end, and this one stays. Null if it is the same
 * pause again.
 */
export function pauseOver(
  record: ReleaseRecord,
  { by }: Who,
  message: string,
  now: number,
): ReleaseRecord | null {
  const { paused } = record;
  if (!paused || (paused.cause === 'person' && paused.by === by && paused.message === message)) return null;
  const { state, phase, over = [], ...top } = paused;
  // The same person again: the newer word replaces the older one.
  const below = top.cause === 'person' && top.by === by ? over : [top, ...over].slice(0, MOST_PAUSES);
  const next: Paused = {
    cause: 'person',
    by,
    message,
    ...(below.length > 0 ? { over: below } : {}),
    state,
    phase,
  };
  const covered = below.length > 0 ? `; over: ${below.map(spellPause).join(', over: ')}` : '';
  return { ...note(record, { event: 'paused', by, message: `${message}${covered}` }, now), paused: next };
}

function spellPause({ cause, by, message }: PauseLayer): string {
  return cause === 'person' ? message : `paused by ${by} (${cause}): ${message}`;
}

/** A pause that lay over others is over, and the next one applies. */
export function uncoverPause(
  record: ReleaseRecord,
  { by }: Who,
  message: string,
  now: number,
): ReleaseRecord {
  const { paused } = record;
  const [next, ...rest] = paused?.over ?? [];
  if (!paused || !next) return record;
  const { state, phase } = paused;
  const says = `${message}; takes back: ${paused.message}; still paused: ${spellPause(next)}`;
  return {
    ...note(record, { event: 'resumed', by, message: says }, now),
    paused: { ...next, ...(rest.length > 0 ? { over: rest } : {}), state, phase },
  };
}

/** What a verb did to pauses: whose it ended, and which one applies now; for the answer. */
export function describePauses(before: ReleaseRecord, after: ReleaseRecord): readonly string[] {
  const [was, is] = [before, after].map(({ paused }) => (paused ? [paused, ...(paused.over ?? [])] : []));
  const remains = (one: PauseLayer): boolean =>
    is?.some(({ cause, by, message }) => cause === one.cause && by === one.by && message === one.message) ===
    true;
  const ended = (was ?? []).filter((one) => !remains(one)).map((one) => `takes back: ${spellPause(one)}`);
  const left =
    before.paused && after.paused && ended.length > 0 ? [`still paused: ${spellPause(after.paused)}`] : [];
  const over = (after.paused?.over ?? []).map((one) => `over: ${spellPause(one)}`);
  return [...ended, ...left, ...(ended.length === 0 ? over : [])];
}
