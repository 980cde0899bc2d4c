/** How many names wait; more of them mean: everything. */
const MOST = 10_000;

/** What the next read must cover. */
export class Wanted {
  readonly #ids = new Set<string>();
  #all = false;

  get any(): boolean {
    return this.#all || this.#ids.size > 0;
  }

  add(id: string): void {
    if (this.#ids.size < MOST) this.#ids.add(id);
    else this.#all = true;
  }

  addAll(): void {
    this.#all = true;
  }

  /** Gives what is wanted, and wants nothing more. `ids` is the caller's. */
  take(): { readonly ids: Set<string>; readonly all: boolean } {
    const taken = { ids: new Set(this.#ids), all: this.#all };
    this.#ids.clear();
    this.#all = false;
    return taken;
  }
}
