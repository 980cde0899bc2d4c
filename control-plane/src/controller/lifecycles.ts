import type { Lifecycle } from '../model/ports.js';

/** Several parts as one: they start in their order and close in the reverse one, so that each closes before what it uses. */
export class Lifecycles implements Lifecycle {
  readonly #parts: readonly Lifecycle[];
  #closing: Promise<void> | undefined;

  constructor(parts: readonly Lifecycle[]) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    for (const part of this.#parts) await part.start();
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#closeAll());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #closeAll(): Promise<void> {
    for (const part of this.#parts.toReversed()) await part.close();
  }
}
