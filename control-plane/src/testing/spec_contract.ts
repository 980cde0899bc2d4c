import { checkName, LONGEST_NAME } from '../model/names.js';
import { ROUTE_MEMBERS } from '../model/route.js';
import { SECTIONS } from '../model/service_spec.js';
import { PEER_DEFAULTS } from '../model/set.js';
import {
  MAX_PEERS,
  MAX_ROUTE_HOST,
  MAX_ROUTE_PATH,
  MAX_SET_BYTES,
  PEER_PORT,
  PEER_WEIGHT,
} from '../model/set_limits.js';
import type { Member, Members, Rule } from '../model/shape.js';

/** A value's kind and limits as docs/contract/spec.json has them. */
export type ContractRule =
  | { readonly type: 'whole'; readonly min: number; readonly max: number }
  | { readonly type: 'flag' }
  | { readonly type: 'word'; readonly words: readonly string[] }
  | {
      readonly type: 'text';
      readonly most: number;
      readonly good: readonly string[];
      readonly bad: readonly string[];
      /** The ASCII characters that may be between two of the first good one. */
      readonly inside: string;
    }
  | { readonly type: 'list'; readonly most: number; readonly of: ContractRule }
  | { readonly type: 'range'; readonly min: number; readonly max: number }
  /** A text of a form that its examples show. */
  | { readonly type: 'form'; readonly good: readonly string[]; readonly bad: readonly string[] }
  | { readonly type: 'object' }
  /** A list of objects, no two with the same `name`; the members of the first are at `PATH.0.`. */
  | { readonly type: 'objects'; readonly most: number };

/**
 * A member of a set. With `required` it is in every set (or in every object that it belongs to); else its absence says
 * `default`, null for none. A required one with a default has that where nobody decided: the control plane fills it in.
 */
export type ContractField = ContractRule & {
  readonly path: string;
  readonly required?: true;
  readonly default?: unknown;
};

/** What both languages agree on about the values of a set: docs/contract/spec.json. */
export interface SpecContract {
  /** A payload has at most so many bytes. */
  readonly most_bytes: number;
  readonly fields: readonly ContractField[];
  /** What a route may say beside its host, path and service. */
  readonly route_fields: readonly ContractField[];
  readonly peers: {
    readonly most: number;
    readonly port: { readonly min: number; readonly max: number };
    readonly weight: { readonly min: number; readonly max: number };
    /** What the absence of these says, from version 2 on. */
    readonly defaults: typeof PEER_DEFAULTS;
  };
  readonly longest: Readonly<Record<string, number>>;
  /** The ASCII characters that may be inside a name, between two letters. */
  readonly inside: Readonly<Record<NamedInSets, string>>;
}

type NamedInSets = 'service' | 'instance' | 'version' | 'zone';

/** The contract, made from the tables of the model. */
export function specContract(): SpecContract {
  const { service, instance, version, zone } = LONGEST_NAME;
  return {
    most_bytes: MAX_SET_BYTES,
    fields: fieldsOf(SECTIONS, ''),
    route_fields: fieldsOf(ROUTE_MEMBERS, 'routes.0.'),
    peers: { most: MAX_PEERS, port: PEER_PORT, weight: PEER_WEIGHT, defaults: PEER_DEFAULTS },
    longest: { service, instance, version, zone, route_host: MAX_ROUTE_HOST, route_path: MAX_ROUTE_PATH },
    inside: {
      service: insideName('service'),
      instance: insideName('instance'),
      version: insideName('version'),
      zone: insideName('zone'),
    },
  };
}

function insideName(kind: NamedInSets): string {
  return inside('a', (text) => checkName(kind, text).ok);
}

function inside(good: string, fits: (text: string) => boolean): string {
  const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
  return ascii.filter((character) => fits(good + character + good)).join('');
}

function fieldsOf(members: Members, prefix: string): readonly ContractField[] {
  return Object.entries(members).flatMap(([name, member]): readonly ContractField[] => {
    const path = prefix + name;
    const field = { path, ...ruleOf(member.rule), ...presence(member) };
    const { rule } = member;
    if (rule.kind === 'objects') return [field, ...fieldsOf(rule.members, `${path}.0.`)];
    return rule.kind === 'object' ? [field, ...fieldsOf(rule.members, `${path}.`)] : [field];
  });
}

function presence({ always, fallback }: Member): { readonly required?: true; readonly default?: unknown } {
  return {
    ...(always === true || fallback === undefined ? { required: true } : {}),
    ...(fallback === undefined ? {} : { default: fallback }),
  };
}

function ruleOf(rule: Rule): ContractRule {
  switch (rule.kind) {
    case 'whole':
      return { type: 'whole', min: rule.min, max: rule.max };
    case 'range':
      return { type: 'range', min: rule.min, max: rule.max };
    case 'flag':
      return { type: 'flag' };
    case 'one_of':
      return { type: 'word', words: rule.values };
    case 'text':
      return {
        ...{ type: 'text', most: rule.most, good: rule.good, bad: rule.bad },
        inside: inside(rule.good[0] ?? '', (text) => rule.pattern.test(text)),
      };
    case 'list':
      return { type: 'list', most: rule.most, of: ruleOf(rule.of) };
    case 'form':
      return { type: 'form', good: rule.good, bad: rule.bad };
    case 'object':
      return { type: 'object' };
    case 'objects':
      return { type: 'objects', most: rule.most };
  }
}
