import { inPlace } from './in_place.js';
import type { ReleaseStrategy } from './strategy.js';
import { weighted } from './weighted.js';

/** Every strategy. Whoever needs one asks `of.ts` for it by its kind; no file outside of this folder names one. */
export const FAMILY: readonly ReleaseStrategy[] = [weighted, inPlace];
