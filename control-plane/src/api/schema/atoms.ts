import * as z from 'zod';
import { KEYS } from '../../model/key_documents.js';
import { checkName, ROUTES, type NameKind } from '../../model/names.js';
import { unfitCharacter } from '../../model/texts.js';
import { DURATION_HINT, formatDuration, parseDuration } from '../../model/duration.js';

/** A name of `kind` by the model's own rule. */
export function name(kind: NameKind) {
  return z
    .string()
    .check((context) => {
      const checked = checkName(kind, context.value, 'it');
      if (checked.ok) return;
      const message = checked.error.message.replace(/^it must be /, '');
      context.issues.push({ code: 'custom', input: context.value, message, continue: false });
    })
    .meta({ description: `A name: ${hint(kind)}.` });
}

function hint(kind: NameKind): string {
  const refused = checkName(kind, '', 'it');
  return refused.ok ? '' : refused.error.message.replace(/^it /, '');
}

/** A service, or `@routes`: whatever has a published set. */
export const publishedName = z.union([z.literal(ROUTES), name('service')], {
  error: `${hint('service')}, or ${ROUTES}`,
});

/** The same, or `@keys`: whatever gateways follow. */
export const followedName = z.union([z.literal(ROUTES), z.literal(KEYS), name('service')], {
  error: `${hint('service')}, or ${ROUTES}, or ${KEYS}`,
});

/** Who acted, as records say it: a name, or `ci for job/42`. */
export const actorName = z
  .string()
  .refine((text) => text.split(' for ').every((part) => checkName('actor', part).ok), {
    error: `${hint('actor')}, or two of them like ci for job/42`,
  });

/** A duration like `90s`, read into milliseconds between `min` and `max`. */
export function duration(min: number, max: number) {
  const bounds = `${formatDuration(min)} to ${formatDuration(max)}`;
  return z
    .string()
    .transform((text, context) => {
      const parsed = parseDuration(text);
      if (parsed.ok && parsed.value >= min && parsed.value <= max) return parsed.value;
      context.issues.push({
        code: 'custom',
        input: text,
        message: parsed.ok ? `must be from ${bounds}` : `${parsed.error}, from ${bounds}`,
      });
      return z.NEVER;
    })
    .meta({ description: `A duration: ${DURATION_HINT}; from ${bounds}.`, examples: ['90s'] });
}

/** Why a person does something; it is kept and shown. */
export const reason = z
  .string()
  .min(1)
  .max(500)
  .check((context) => {
    const character = unfitCharacter(context.value);
    if (character === null) return;
    const message = `must be one line without control characters; it contains ${character}`;
    context.issues.push({ code: 'custom', input: context.value, message });
  })
  .meta({ description: 'Why; kept with the change and shown to everybody.' });

/** `true` or `false` in a query. */
export const flag = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .meta({ description: '`true` or `false`.' });

/** A whole number from `min` to `max`. */
export function whole(min: number, max: number) {
  return z.int().min(min).max(max);
}

export const DAY_MS = 86_400_000;
/** No request waits longer than this; clients ask again. */
export const WAIT_MAX_MS = 60_000;
export const DRAIN_TIMEOUT_MAX_MS = 7 * DAY_MS;
export const EXPIRES_MAX_MS = 366 * DAY_MS;
export const WEIGHT_MAX = 10_000;
