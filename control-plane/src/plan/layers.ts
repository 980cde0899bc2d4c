import type { CoveredDrain, Decided, InstanceIntent } from '../model/intent.js';

/*
 * What people decided for one instance, in layers, uppermost first:
 *
 *   isolation   takes it out at once
 *   drain       lets no new request in (or is cut)
 *   role        backup or not, set by hand
 *   weight      set by hand
 *
 * Each layer has its own author, reason, time and expiry. Setting one replaces that layer and no other; taking one back, its
 * expiry, or the end of its operation uncovers what lies below. A record written before layers had authors of their own is
 * read as it is: its one author is that of everything in it.
 */

export interface Layers {
  readonly isolation?: Decided;
  readonly drain?: CoveredDrain;
  readonly backup?: Decided & { readonly value: boolean };
  readonly weight?: Decided & { readonly value: number };
}

/** In the order in which they lie, uppermost first. */
const ORDER = ['isolation', 'drain', 'backup', 'weight'] as const;
type Layer = (typeof ORDER)[number];

/** The layers of an intent. */
export function layersOf(intent: InstanceIntent | undefined): Layers {
  if (intent === undefined) return {};
  const { state, op, keep_sticky_until: kept, covered, weight, backup } = intent;
  const top = decided(intent);
  // In a record without authors of their own the expiry is that of the state.
  const { expires: _expires, ...lasting } = top;
  const others = state === undefined ? top : lasting;
  const drain: CoveredDrain | undefined =
    state === 'draining' || state === 'cut'
      ? {
          ...top,
          state,
          ...(op === undefined ? {} : { op }),
          ...(kept === undefined ? {} : { keep_sticky_until: kept }),
        }
      : covered;
  return {
    ...(state === 'isolated' ? { isolation: top } : {}),
    ...(drain === undefined ? {} : { drain }),
    ...(backup === undefined ? {} : { backup: { ...(intent.backup_by ?? others), value: backup } }),
    ...(weight === undefined ? {} : { weight: { ...(intent.weight_by ?? others), value: weight } }),
  };
}

/** The intent that says what `layers` say; undefined if they say nothing. */
export function intentOf(layers: Layers): InstanceIntent | undefined {
  const { isolation, drain, backup, weight } = layers;
  const top = isolation ?? drain ?? newest(backup, weight);
  if (top === undefined) return undefined;
  const stated = isolation !== undefined || drain !== undefined;
  const author = decided(top);
  const by = (one: Decided): Decided | undefined =>
    !stated && same(decided(one), author) ? undefined : decided(one);
  const [backupBy, weightBy] = [backup && by(backup), weight && by(weight)];
  return {
    ...(isolation === undefined ? (drain ?? {}) : { state: 'isolated' as const }),
    ...(weight === undefined ? {} : { weight: weight.value }),
    ...(backup === undefined ? {} : { backup: backup.value }),
    ...author,
    ...(isolation !== undefined && drain !== undefined ? { covered: drain } : {}),
    ...(weightBy === undefined ? {} : { weight_by: weightBy }),
    ...(backupBy === undefined ? {} : { backup_by: backupBy }),
  };
}

/** The drain of an instance, also one that an isolation covers. */
export function drainOf(intent: InstanceIntent | undefined): CoveredDrain | undefined {
  return layersOf(intent).drain;
}

/** What of `intent` has not expired at `wall` (milliseconds); undefined if nothing is left. */
export function unexpired(intent: InstanceIntent, wall: number): InstanceIntent | undefined {
  const layers = layersOf(intent);
  if (ORDER.every((name) => !isOver(layers[name], wall))) return intent;
  return intentOf(
    Object.fromEntries(Object.entries(layers).filter(([, one]) => !isOver(one as Decided, wall))),
  );
}

/** When the next layer of `intent` expires, in milliseconds; Infinity if none does. */
export function nextExpiry(intent: InstanceIntent | undefined): number {
  const layers = layersOf(intent);
  return Math.min(...ORDER.map((name) => Date.parse(layers[name]?.expires ?? '') || Infinity));
}

function isOver(layer: Decided | undefined, wall: number): boolean {
  return layer?.expires !== undefined && Date.parse(layer.expires) <= wall;
}

function newest(a: Decided | undefined, b: Decided | undefined): Decided | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Date.parse(a.at) > Date.parse(b.at) ? a : b;
}

function decided({ by, reason, at, expires }: Decided): Decided {
  return { by, reason, at, ...(expires === undefined ? {} : { expires }) };
}

function same(a: Decided, b: Decided): boolean {
  return a.by === b.by && a.reason === b.reason && a.at === b.at && a.expires === b.expires;
}

/* ---- in words ---------------------------------------------------------------------------------------------------- */

/** `isolated by ann until …: leak`, for the layers that are there, uppermost first. */
export function spellLayers(intent: InstanceIntent | undefined): readonly string[] {
  const layers = layersOf(intent);
  return ORDER.flatMap((name) => spell(name, layers));
}

function spell(name: Layer, layers: Layers): readonly string[] {
  const one = layers[name];
  if (one === undefined) return [];
  return [`${what(name, layers)} ${spellAuthor(one)}`];
}

function what(name: Layer, { drain, backup, weight }: Layers): string {
  if (name === 'isolation') return 'isolated';
  if (name === 'drain') return drain?.state === 'cut' ? 'drained and cut' : 'drained';
  if (name === 'backup') return backup?.value === true ? 'made a backup' : 'made no backup';
  return `weight ${String(weight?.value ?? '')} set`;
}

/** `by ann until …: leak`. */
export function spellAuthor({ by, reason, expires }: Decided): string {
  return `by ${by}${expires === undefined ? '' : ` until ${expires}`}${reason === '' ? '' : `: ${reason}`}`;
}

/**
 * What a change of an intent does to what somebody had decided before: what it replaces, takes back, covers, lies under, or
 * uncovers. Empty if nothing was there.
 */
export function describeLayerChange(
  before: InstanceIntent | undefined,
  after: InstanceIntent | undefined,
): readonly string[] {
  const [was, is] = [layersOf(before), layersOf(after)];
  const lines: string[] = [];
  const add = (verb: string, name: Layer | undefined, layers: Layers): void => {
    if (name !== undefined) lines.push(...spell(name, layers).map((text) => `${verb} ${text}`));
  };
  const top = (layers: Layers, below = -1): Layer | undefined =>
    ORDER.find((name, index) => index > below && layers[name] !== undefined);
  for (const [index, name] of ORDER.entries()) {
    const [old, now] = [was[name], is[name]];
    if (old === now || (old && now && sameLayer(old, now))) continue;
    const above = ORDER.slice(0, index).findLast((one) => is[one] !== undefined);
    if (old !== undefined) add(now === undefined ? 'takes back' : 'replaces', name, was);
    if (now !== undefined && old === undefined) add('over', top(is, index), is);
    if (now !== undefined) add('below', above, is);
    if (now === undefined) add(above === undefined ? 'uncovers' : 'leaves', above ?? top(is, index), is);
  }
  return [...new Set(lines)];
}

function sameLayer(a: Decided, b: Decided): boolean {
  const text = (one: Decided): string =>
    JSON.stringify(Object.entries(one).sort(([x], [y]) => (x < y ? -1 : 1)));
  return text(a) === text(b);
}
