/**
 * The place of a publication in the order of all. Both are whole numbers below 2^53; on the wire they travel as decimal strings.
 * An epoch is one term of office of a controller; a generation counts publications and only grows.
 */
export interface Position {
  readonly epoch: number;
  readonly generation: number;
}

/** Negative if `a` is older than `b`, 0 if equal, positive if newer: epoch first, then generation. */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.generation - b.generation;
}
