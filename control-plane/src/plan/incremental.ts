/*
 * Cost per change. Every pass is made from full state, and what is made from the same objects as before is not made again: what
 * the model and the plan hand on never changes, so an input that is the same object has nothing new in it. Whoever remembers
 * something owns it and gives it in; a memory that is lost costs time, and no result depends on it.
 */

/** True if both have the same objects in the same places. */
export function sameObjects(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((one, index) => Object.is(one, b[index]));
}

/** `before` if it has the same entries, else `after`: whoever compares by reference sees that nothing changed. */
export function sameOr<K, V>(
  before: ReadonlyMap<K, V> | undefined,
  after: ReadonlyMap<K, V>,
): ReadonlyMap<K, V> {
  if (before?.size !== after.size) return after;
  for (const [key, value] of after) if (before.get(key) !== value || !before.has(key)) return after;
  return before;
}

/** The keys at which the two maps have not the same object: those of `after` in its order, then those that only `before` has. */
export function differing<K, V extends object>(
  before: ReadonlyMap<K, V>,
  after: ReadonlyMap<K, V>,
): readonly K[] {
  if (before === after) return [];
  const keys: K[] = [];
  let inBoth = 0;
  for (const [key, value] of after) {
    const old = before.get(key);
    if (old !== undefined) inBoth += 1;
    if (old !== value) keys.push(key);
  }
  if (inBoth < before.size) for (const key of before.keys()) if (!after.has(key)) keys.push(key);
  return keys;
}

/** A map that follows on another one: that one itself for as long as every entry is the same object. */
export class Successor<K, V extends object> {
  readonly #before: ReadonlyMap<K, V>;
  #copy: Map<K, V> | null = null;

  constructor(before: ReadonlyMap<K, V>) {
    this.#before = before;
  }

  get map(): ReadonlyMap<K, V> {
    return this.#copy ?? this.#before;
  }

  /** Undefined takes the entry out. */
  set(key: K, value: V | undefined): void {
    if (this.map.get(key) === value) return;
    this.#copy ??= new Map(this.#before);
    if (value === undefined) this.#copy.delete(key);
    else this.#copy.set(key, value);
  }
}

/** A pure function that is asked once for the same objects in a row. */
export function remembered<Input extends readonly unknown[], Output>(
  compute: (...input: Input) => Output,
): (...input: Input) => Output {
  let known: { readonly input: Input; readonly output: Output } | null = null;
  return (...input) => {
    if (known === null || !sameObjects(known.input, input)) known = { input, output: compute(...input) };
    return known.output;
  };
}

/** A pure function of one service's objects, which is asked again only where one of them is another than the last time. */
export class PerService<Input extends readonly unknown[], Output> {
  readonly #compute: (...input: Input) => Output;
  readonly #known = new Map<string, { readonly input: Input; readonly output: Output }>();

  constructor(compute: (...input: Input) => Output) {
    this.#compute = compute;
  }

  of(service: string, ...input: Input): Output {
    const known = this.#known.get(service);
    if (known !== undefined && sameObjects(known.input, input)) return known.output;
    const output = this.#compute(...input);
    this.#known.set(service, { input, output });
    return output;
  }

  /** Forgets every service that is not in `services`. */
  keep(services: Pick<ReadonlySet<string>, 'has' | 'size'>): void {
    if (this.#known.size <= services.size) return;
    for (const service of this.#known.keys()) if (!services.has(service)) this.#known.delete(service);
  }
}
