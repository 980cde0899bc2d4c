import type { ClockState } from '../model/readiness.js';
import { formatDuration } from '../model/duration.js';

/*
 * Whether the wall clock of this controller can be believed. It must agree with the clock of every store that answers:
 * two machines that share a wrong clock must not outvote the third.
 */

/** A store's clock, as far ahead of ours as `ahead_ms` says, give or take `doubt_ms`. */
export interface ClockReading {
  readonly store: 'zookeeper' | 'redis';
  readonly ahead_ms: number;
  readonly doubt_ms: number;
}

export interface ClockVerdict {
  readonly state: ClockState['state'];
  readonly detail: string;
  /** What is to be added to our clock for the likeliest time: 0 while it is believed. */
  readonly correction_ms: number;
}

const NAMES = { zookeeper: 'ZooKeeper', redis: 'Redis' } as const;

/**
 * `in_sync` if no store's clock is further away than `bound_ms`; `unknown` if no store answers. With two stores the likeliest time is
 * the middle one of the three clocks; with one it is the store's.
 */
export function checkClock(readings: readonly ClockReading[], bound_ms: number): ClockVerdict {
  if (readings.length === 0)
    return {
      state: 'unknown',
      detail: 'neither ZooKeeper nor Redis has answered with its time yet',
      correction_ms: 0,
    };
  const wrong = readings.filter(({ ahead_ms, doubt_ms }) => Math.abs(ahead_ms) > bound_ms + doubt_ms);
  if (wrong.length === 0) return { state: 'in_sync', detail: '', correction_ms: 0 };
  const offsets = [...readings.map(({ ahead_ms }) => ahead_ms), ...(readings.length > 1 ? [0] : [])];
  const correction_ms = offsets.sort((a, b) => a - b)[Math.floor(offsets.length / 2)] ?? 0;
  const apart = wrong
    .map(({ store, ahead_ms }) => `${NAMES[store]}'s by ${spell(ahead_ms)}`)
    .join(' and from ');
  const detail = `the clock of this controller differs from ${apart}, which is more than ${formatDuration(bound_ms)}: nothing expires until they agree. Set the clocks of these hosts (NTP)`;
  return { state: 'out_of_sync', detail, correction_ms };
}

function spell(ahead_ms: number): string {
  const seconds = Math.max(1, Math.round(Math.abs(ahead_ms) / 1_000));
  const size =
    seconds >= 120 ? formatDuration(Math.round(seconds / 60) * 60_000) : formatDuration(seconds * 1_000);
  return `${size} (it is ${ahead_ms > 0 ? 'behind' : 'ahead'})`;
}

/** The moment until which what was to end has expired. Absent = the present one: the clock is believed. */
export function dueOf({ wall, due }: { readonly wall: number; readonly due?: number }): number {
  return due ?? wall;
}
