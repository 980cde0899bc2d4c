import type { Registration } from '../model/registration.js';

/*
 * What is reported of a member when its registration comes, changes or goes.
 */

export type MembershipEventName =
  | 'registered'
  | 'updated'
  | 'leaving'
  | 'returned'
  | 'missing'
  | 'suspected'
  | 'lost'
  | 'deregistered';

/** A member, as far as events need to know it. */
interface Before {
  readonly registration: Registration;
  readonly presence: 'present' | 'missing' | 'suspect' | 'gone';
}

/** What is reported when a registration says something, after what was known. A null event reports nothing. */
export function arrival(old: Before | undefined, now: Registration): [MembershipEventName | null, string] {
  const what = `${now.host}:${String(now.port)}${now.version === '' ? '' : ` version ${now.version}`}`;
  if (!old) return ['registered', `registered at ${what}`];
  if (old.presence !== 'present') return ['returned', `registered again at ${what}`];
  if (now.leaving && !old.registration.leaving) return ['leaving', 'wants to stop; it is being drained'];
  const changes = changesIn(old.registration, now);
  if (changes.length === 0) return ['updated', `registered again at ${what}, unchanged`];
  return ['updated', `changed its registration: ${changes.join(', ')}`];
}

/** What an instance says otherwise than before, as `name from → to`. */
function changesIn(from: Registration, to: Registration): readonly string[] {
  const line = (name: string, a: string, b: string): readonly string[] =>
    a === b ? [] : [`${name} ${a || 'none'} → ${b || 'none'}`];
  const yes = (is: boolean): string => (is ? 'yes' : 'no');
  const labels = new Set([...Object.keys(from.labels), ...Object.keys(to.labels)]);
  const label = (of: Registration, name: string): string =>
    Object.hasOwn(of.labels, name) ? `"${of.labels[name] ?? ''}"` : '';
  return [
    ...line('host', from.host, to.host),
    ...line('port', String(from.port), String(to.port)),
    ...line('version', from.version, to.version),
    ...line('weight', String(from.weight), String(to.weight)),
    ...line('zone', from.zone, to.zone),
    ...line('ready', yes(from.ready), yes(to.ready)),
    ...line('backup', yes(from.backup), yes(to.backup)),
    ...line('leaving', yes(from.leaving), yes(to.leaving)),
    ...line('persistent node', yes(from.persistent), yes(to.persistent)),
    ...[...labels].sort().flatMap((name) => line(`label ${name}`, label(from, name), label(to, name))),
  ];
}

/** On whose word a member goes whose registration vanished. */
export interface Departure {
  /** A person, or a release, had taken it out of use. */
  readonly takenOut: boolean;
  /** Who said that it is gone; null = nobody. */
  readonly accepted: string | null;
}

/** What the next presence of a member whose registration vanished shows; null where it stays what it was. */
export function departure(
  old: Before,
  next: Pick<Before, 'presence'>,
  { takenOut, accepted }: Departure,
): [MembershipEventName | null, string] {
  if (next.presence === old.presence) return [null, ''];
  if (next.presence === 'missing') return ['missing', 'its registration vanished; kept for now'];
  if (next.presence === 'suspect')
    return ['suspected', 'its registration vanished; kept in use as a suspect'];
  if (old.registration.leaving) return ['deregistered', 'deregistered after leaving'];
  if (takenOut) return ['deregistered', 'its registration vanished after it had been taken out of use'];
  if (accepted !== null) return ['lost', `its registration vanished; ${accepted} says that it is gone`];
  return ['lost', 'its registration vanished without a word; taken out'];
}
