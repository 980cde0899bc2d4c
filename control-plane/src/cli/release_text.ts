import { own } from '../model/dictionary.js';
import { formatDuration } from '../model/duration.js';
import type { ReleaseEvent } from '../model/release.js';
import type { GateResource, HashedPlan, ReleaseResource } from '../model/release_resources.js';
import { safe } from './terminal.js';
import type { Column } from './table.js';

/*
 * Releases as text: pure, so that what people see is tested line by line.
 */

/** `v1 95 %, v2 5 %` */
export function sharesText(shares: Readonly<Record<string, number>>): string {
  const names = Object.keys(shares).sort();
  return names.length === 0
    ? '-'
    : names.map((name) => `${name} ${String(own(shares, name) ?? 0)} %`).join(', ');
}

/** `progressing, soaking` */
export function stateText({ state, phase }: ReleaseResource): string {
  return phase === null ? state : `${state}, ${phase}`;
}

/** `2/5`, `2/5 back`, and of batches `2/5 back 1/2`; `0/5` of what never began. */
export function stepText({ step, steps, turned, back }: ReleaseResource): string {
  if (!turned) return `${String(Math.min(step + 1, steps))}/${String(steps)}`;
  const place = `${String(turned.begun ? Math.min(turned.step + 1, steps) : 0)}/${String(steps)} back`;
  if (!back || back.steps === 0) return place;
  return `${place} ${String(Math.min(back.step + 1, back.steps))}/${String(back.steps)}`;
}

function gateText({ gate, verdict, value, stable, limit, samples, message }: GateResource): string {
  const why = message === '' ? '' : ` (${message})`;
  if (!samples) {
    const read = value === null ? '' : ` ${String(value)}${limit === null ? '' : `, limit ${String(limit)}`}`;
    return `${gate}${read}: ${verdict}${why}`;
  }
  const unit = gate === 'errors' ? '%' : 'ms';
  const say = (one: number | null): string =>
    one === null ? '-' : `${String(Math.round(one * 10) / 10)} ${unit}`;
  const of = `${String(samples.target)} and ${String(samples.stable)} requests`;
  return `${gate} ${say(value)}, stable ${say(stable)}, limit ${say(limit)}, of ${of}: ${verdict}${why}`;
}

function timesText({ times }: ReleaseResource): string {
  const spent = (['active', 'paused', 'converging', 'draining', 'upgrading'] as const).map(
    (what) => `${what} ${formatDuration(Math.round(times[`${what}_ms`] / 1_000) * 1_000)}`,
  );
  return spent.join(', ');
}

/** What its record asks for: shares, or nothing but weights. */
function wantedText({ shares }: ReleaseResource): string {
  return Object.keys(shares.wanted).length === 0 ? 'by weight' : sharesText(shares.wanted);
}

function inPlaceRows({ in_place: place }: ReleaseResource): readonly (readonly [string, string])[] {
  if (!place) return [];
  const { batch, max_unavailable, max_failed, upgrade, through } = place;
  const how = through === '' ? upgrade : `${upgrade} ${through}`;
  const call = place.call === 'none' ? '' : `, call ${place.call}`;
  return [
    ['in place', `batch ${batch}, max unavailable ${max_unavailable}, max failed ${String(max_failed)}`],
    ['upgrade', `${how}${call}`],
    ...place.instances.map(({ id, state, version, in_flight, reason }) => {
      const open = in_flight === null ? 'unknown' : String(in_flight);
      return [
        'instance',
        `${id} ${state}, ${version}, ${open} in flight${reason === '' ? '' : `: ${reason}`}`,
      ] as const;
    }),
    ...place.left_out.map(({ id, reason }) => ['left out', reason === '' ? id : `${id}: ${reason}`] as const),
  ];
}

/** Everything about a release on one screen. */
export function releaseLines(
  release: ReleaseResource,
  events: readonly ReleaseEvent[],
  blockers: readonly string[] = [],
): readonly string[] {
  const { id, service, stable, target, shares } = release;
  const rows: (readonly [string, string])[] = [
    ['state', `${stateText(release)}, since ${release.since}`],
    ['step', `${stepText(release)}${release.attempt > 1 ? `, attempt ${String(release.attempt)}` : ''}`],
    ['message', release.message],
    ...inPlaceRows(release),
    ['wanted', wantedText(release)],
    [
      'published',
      `${sharesText(shares.published)}, applied on ${String(shares.applied_on)}/${String(shares.gateways)} gateways`,
    ],
    ...release.gates.map((gate) => {
      const read = release.gates_read_at === null ? '' : `, read ${release.gates_read_at}`;
      return ['gate', `${gateText(gate)}${read}`] as const;
    }),
    ...(release.failures > 0
      ? [['failures', `${String(release.failures)}, ${String(release.failure_limit)} are tolerated`] as const]
      : []),
    ...(release.problem === null ? [] : [['problem', release.problem] as const]),
    ...release.waiting_for.map((one) => ['waits for', `${one}, since ${release.since}`] as const),
    ...guardsOf(release, blockers).map((one) => ['guard', one] as const),
    ['by', `${release.by}${release.reason === '' ? '' : `: ${release.reason}`}, ${release.at}`],
    ['time', timesText(release)],
    ...events.slice(-5).map((one) => ['event', eventLine(one)] as const),
  ];
  return [
    `release ${id} of ${service}: ${stable} → ${target}`,
    ...rows.map(([name, text]) => `  ${name.padEnd(10)} ${text}`),
  ].map(safe);
}

/** What blocks the next step, without what it waits for already. */
function guardsOf({ waiting_for }: ReleaseResource, blockers: readonly string[]): readonly string[] {
  return blockers.filter((one) => !waiting_for.includes(one));
}

/** `12:00:04  step_begun by controller  step 1/3 …`, with the whole moment. */
export function eventLine({ at, event, by, message }: ReleaseEvent): string {
  return safe(`${at}  ${event} by ${by}${message === '' ? '' : `  ${message}`}`);
}

/** What it waits for in one line, with what blocks the next step; empty = nothing. */
export function waitsLine(now: {
  readonly release: ReleaseResource;
  readonly blockers: readonly string[];
}): string {
  const { release, blockers } = now;
  const parts = [
    ...(release.problem === null ? [] : [`problem: ${release.problem}`]),
    ...(release.waiting_for.length === 0 ? [] : [`waits for: ${release.waiting_for.join('; ')}`]),
    ...guardsOf(release, blockers).map((one) => `guard: ${one}`),
  ];
  return safe(parts.join('  '));
}

/** One line, of what moves and nothing that only counts: where there is no terminal, one is printed per change. */
export function changeLine(release: ReleaseResource): string {
  const { service, stable, target } = release;
  return safe(
    `${service} ${stable} → ${target}  ${stateText(release)}  step ${stepText(release)}  ` +
      `wanted ${wantedText(release)}  ${release.message}`,
  );
}

/** The steps of a plan with their shares, and what blocks it. */
export function planLines(plan: HashedPlan): readonly string[] {
  return [
    `release of ${plan.service}: ${plan.stable} → ${plan.target}, rolls back to ${plan.rollback_to}`,
    ...(plan.upgrade === null ? [] : [`  upgraded by: ${plan.upgrade}`]),
    ...plan.steps.map((step) => {
      const { what, shares, instances } = step;
      const said = instances.length > 0 ? what : `${what.padEnd(22)} ${sharesText(shares)}`;
      return `  ${said}${readyText(step, plan.target)}`;
    }),
    ...plan.gates.map((one) => `  gate: ${one}`),
    `  fails if it cannot begin within ${formatDuration(plan.start_deadline_ms)}`,
    ...plan.blockers.map((one) => `  blocked by: ${one}`),
    `  hash: ${plan.hash}`,
  ].map(safe);
}

/** `  (ready: v1 3, v2 1 of 2)`; nothing of a step that is over. */
function readyText({ ready, needs }: HashedPlan['steps'][number], target: string): string {
  const names = Object.keys(ready).sort();
  if (names.length === 0) return '';
  const counts = names.map((name) => `${name === '' ? '(none)' : name} ${String(own(ready, name) ?? 0)}`);
  const asks = needs > 0 ? `; needs ${String(needs)} of ${target}` : '';
  return `  (ready: ${counts.join(', ')}${asks})`;
}

export const RELEASE: readonly Column<ReleaseResource>[] = [
  { head: 'RELEASE', show: (r) => r.id },
  { head: 'SERVICE', show: (r) => r.service },
  { head: 'FROM', show: (r) => r.stable },
  { head: 'TO', show: (r) => r.target },
  { head: 'STATE', show: stateText },
  { head: 'STEP', show: stepText },
  { head: 'SHARES', show: wantedText },
  { head: 'BY', show: (r) => r.by },
  { head: 'AT', show: (r) => r.at },
  { head: 'ENDED', show: (r) => r.ended_at ?? '', wide: true },
  { head: 'REASON', show: (r) => r.reason, wide: true },
  { head: 'MESSAGE', show: (r) => r.message, wide: true },
];
