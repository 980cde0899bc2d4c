import * as z from 'zod';
import { SECTION_NAMES, SECTIONS, type SectionName } from '../../model/service_spec.js';
import { countCharacters, type Member, type Members, type Rule } from '../../model/shape.js';

/*
 * The sections of a service's spec as schemas, made from the table of `model/service_spec.ts`.
 */

/** `patch`: what clients send, null takes back. `effective`: all filled in, null = none. `wire`: as it is published. */
type View = 'patch' | 'effective' | 'wire';

/** All sections in one view. What is parsed by a patch is handed on as `SpecPatch`. */
export function sectionSchemas(view: View): Record<SectionName, z.ZodType> {
  const schemas = SECTION_NAMES.map((name) => [name, memberSchema(SECTIONS[name], view)]);
  return Object.fromEntries(schemas) as Record<SectionName, z.ZodType>;
}

/** The members of an object in one view. */
export function shapeOf(members: Members, view: View): Readonly<Record<string, z.ZodType>> {
  return Object.fromEntries(
    Object.entries(members).map(([name, member]) => [name, memberSchema(member, view)]),
  );
}

function memberSchema(member: Member, view: View): z.ZodType {
  const schema = ruleSchema(member.rule, view).meta({ description: describe(member) });
  if (view === 'patch') return schema.nullable().optional();
  if (view === 'wire') return member.always === true ? schema : schema.optional();
  return member.fallback === null ? schema.nullable() : schema;
}

function describe({ doc, fallback, rule }: Member): string {
  const sentence = doc.charAt(0).toUpperCase() + doc.slice(1);
  if (fallback === undefined || rule.kind === 'object' || rule.kind === 'objects') return sentence;
  return `${sentence}. Default ${fallback === null ? 'none' : JSON.stringify(fallback)}.`;
}

function ruleSchema(rule: Rule, view: View): z.ZodType {
  switch (rule.kind) {
    case 'whole':
      return z.int().min(rule.min).max(rule.max);
    case 'flag':
      return z.boolean();
    case 'one_of':
      return z.enum(rule.values as readonly [string, ...string[]]);
    case 'text':
      return z
        .string()
        .refine((text) => countCharacters(text) <= rule.most, `must be ${rule.hint}`)
        .regex(rule.pattern, `must be ${rule.hint}`)
        .meta({ maxLength: rule.most });
    case 'list':
      return z.array(ruleSchema(rule.of, view)).max(rule.most);
    case 'range': {
      const { min, max } = rule;
      const end = z.int().min(min).max(max);
      const message = `must be [from, to] with ${String(min)} ≤ from ≤ to ≤ ${String(max)}`;
      return z.tuple([end, end]).refine(([from, to]) => from <= to, message);
    }
    case 'form':
      return z.string().refine(rule.fits, `must be ${rule.hint}`);
    case 'object':
      return objectSchema(rule.members, view);
    case 'objects':
      return z
        .array(view === 'patch' ? itemSchema(rule.members) : objectSchema(rule.members, view))
        .max(rule.most);
  }
}

/** What clients send as an item of a list: lists are replaced as a whole, so that null takes nothing back in it. */
function itemSchema(members: Members): z.ZodType {
  return z.strictObject(itemShape(members));
}

/** The members of such an item, one by one. */
export function itemShape(members: Members): Readonly<Record<string, z.ZodType>> {
  const shape = Object.entries(members).map(([name, member]) => {
    const schema = ruleSchema(member.rule, 'patch').meta({ description: describe(member) });
    return [name, member.fallback === undefined ? schema : schema.optional()] as const;
  });
  return Object.fromEntries(shape);
}

function objectSchema(members: Members, view: View): z.ZodType {
  const shape = shapeOf(members, view);
  return view === 'patch' ? z.strictObject(shape) : z.object(shape);
}
