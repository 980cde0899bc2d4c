/** How many gateways are heard, and how many characters of their heartbeats kept; beyond that nobody is heard again, and the report says so. */
const MOST_HEARD = { gateways: 2_000, characters: 128_000_000 };

/** The last heartbeats of all gateways as texts: how much room they take, and whether there is room for more. */
export class HeartbeatRoom {
  readonly #texts = new Map<string, string>();
  #characters = 0;

  /** Whether a heartbeat of `size` characters fits in, in the place of the gateway's last one. */
  fits(id: string, size: number): boolean {
    const last = this.#texts.get(id);
    if (last === undefined && this.#texts.size >= MOST_HEARD.gateways) return false;
    return this.#characters - (last?.length ?? 0) + size <= MOST_HEARD.characters;
  }

  /** Whether `text` is the gateway's last heartbeat. */
  has(id: string, text: string): boolean {
    return this.#texts.get(id) === text;
  }

  /** Notes the gateway's heartbeat; empty = it is kept no more. */
  take(id: string, text: string): void {
    this.#characters += text.length - (this.#texts.get(id)?.length ?? 0);
    if (text === '') this.#texts.delete(id);
    else this.#texts.set(id, text);
  }
}
