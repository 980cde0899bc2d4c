/** How many gateways are heard, and how many characters of their heartbeats kept; beyond that nobody is heard again, and the report says so. */
const MOST_HEARD = { gateways: 2_000, characters: 128_000_000 };

/** How much room the heartbeats of all gateways take, and whether there is room for more. */
export class HeartbeatRoom {
  /** Gateway → characters of its last heartbeat. */
  readonly #sizes = new Map<string, number>();
  #characters = 0;

  /** Whether a heartbeat of `size` characters fits in, in the place of the gateway's last one. */
  fits(id: string, size: number): boolean {
    if (!this.#sizes.has(id) && this.#sizes.size >= MOST_HEARD.gateways) return false;
    return this.#characters - (this.#sizes.get(id) ?? 0) + size <= MOST_HEARD.characters;
  }

  /** Notes the size of the gateway's heartbeat; 0 = it is kept no more. */
  take(id: string, size: number): void {
    this.#characters += size - (this.#sizes.get(id) ?? 0);
    if (size === 0) this.#sizes.delete(id);
    else this.#sizes.set(id, size);
  }
}
