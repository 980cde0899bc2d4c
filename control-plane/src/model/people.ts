import { RESERVED_ACTORS } from './names.js';

/** True if a person, or what acts for one, caused it; not the controller and not the registry. */
export function isPersons({ by }: { readonly by: string }): boolean {
  return !RESERVED_ACTORS.includes(by);
}

/**
 * `events` without the oldest that are too many, those of people and all others counted apart: whatever instances and the
 * controller do, what people did is not pushed out by it. In the order in which they came.
 */
export function keepEvents<T extends { readonly by: string }>(
  events: readonly T[],
  most: { readonly people: number; readonly others: number },
): readonly T[] {
  const people = events.filter(isPersons);
  if (people.length <= most.people && events.length - people.length <= most.others) return events;
  const others = events.filter((one) => !isPersons(one));
  const kept = new Set([...people.slice(-most.people), ...others.slice(-most.others)]);
  return events.filter((one) => kept.has(one));
}
