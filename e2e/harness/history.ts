/*
 * Random histories: what operators and bad luck do to one service, drawn from a seed. Pure: the same seed gives the same
 * steps. Instances are numbered in the order in which they register.
 */

export type Step =
  | { readonly kind: 'drain' | 'undrain' | 'die'; readonly instance: number }
  | { readonly kind: 'register'; readonly instance: number }
  | { readonly kind: 'freeze'; readonly gateway: number; readonly ms: number }
  | { readonly kind: 'flush' | 'restart' }
  | { readonly kind: 'wait'; readonly ms: number };

/** What must be true of an instance once everything has settled. */
export type Wanted = 'up' | 'draining' | 'gone';

export interface History {
  readonly seed: number;
  /** How many instances there are before the first step. */
  readonly instances: number;
  readonly steps: readonly Step[];
  /** By instance. */
  readonly wanted: readonly Wanted[];
}

/** Without the waits between them. */
const STEPS = 8;
const FIRST_INSTANCES = 3;
const MOST_INSTANCES = 6;
/** A drain of the last ones would be refused, and a retry needs somewhere to go. */
const LEAST_UP = 2;

/** Draws a history. At most one instance dies in it: two that vanish together would be taken for a fault of ZooKeeper. */
export function drawHistory(seed: number): History {
  const random = mulberry(seed);
  const upTo = (most: number): number => Math.floor(random() * most);
  const pick = <T>(list: readonly T[]): T => list[upTo(list.length)] as T;
  const wanted: Wanted[] = Array.from({ length: FIRST_INSTANCES }, () => 'up' as const);
  const having = (state: Wanted): number[] =>
    wanted.flatMap((one, instance) => (one === state ? [instance] : []));
  const steps: Step[] = [];
  for (let taken = 0; taken < STEPS;) {
    const [up, draining] = [having('up'), having('draining')];
    const roll = random();
    if (roll < 0.32 && up.length > LEAST_UP) {
      const instance = pick(up);
      wanted[instance] = 'draining';
      steps.push({ kind: 'drain', instance });
    } else if (roll < 0.5 && draining.length > 0) {
      const instance = pick(draining);
      wanted[instance] = 'up';
      steps.push({ kind: 'undrain', instance });
    } else if (roll < 0.62 && wanted.length < MOST_INSTANCES) {
      steps.push({ kind: 'register', instance: wanted.push('up') - 1 });
    } else if (roll < 0.68 && having('gone').length === 0 && up.length > LEAST_UP) {
      const instance = pick([...up, ...draining]);
      wanted[instance] = 'gone';
      steps.push({ kind: 'die', instance });
    } else if (roll < 0.78) steps.push({ kind: 'freeze', gateway: upTo(2), ms: 200 + upTo(2_800) });
    else if (roll < 0.88) steps.push({ kind: 'flush' });
    else if (roll < 0.97) steps.push({ kind: 'restart' });
    else continue; // drawn again: what was drawn cannot be done now
    taken += 1;
    if (random() < 0.7) steps.push({ kind: 'wait', ms: upTo(random() < 0.5 ? 150 : 900) });
  }
  return { seed, instances: FIRST_INSTANCES, steps, wanted };
}

/** One line that a person can read. */
export function describeStep(step: Step): string {
  const rest = Object.entries(step).filter(([key]) => key !== 'kind');
  return [step.kind, ...rest.map(([key, value]) => `${key}=${String(value)}`)].join(' ');
}

/** Small, good enough, and the same everywhere. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
