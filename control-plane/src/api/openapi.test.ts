import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../clock.js';
import { PROBLEMS } from '../model/problem.js';
import type { MutationResource } from '../model/mutation.js';
import type { ReadinessResource } from '../model/readiness.js';
import type * as model from '../model/resources.js';
import { MemoryPlane } from '../testing/memory_plane.js';
import { endpoints } from './endpoints.js';
import { openApi } from './openapi.js';
import type * as mutation from './schema/mutation.js';
import type * as ready from './schema/readiness.js';
import type * as resource from './schema/resources.js';
import type * as sets from './schema/sets.js';
import type * as z from 'zod';

interface Operation {
  readonly operationId: string;
  readonly tags: string[];
  readonly summary: string;
  readonly parameters: {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: object;
  }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> };
  readonly responses: Record<string, { readonly description: string; readonly content: object }>;
}
interface Document {
  readonly openapi: string;
  readonly tags: { readonly name: string }[];
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, object> };
}

const all = endpoints({
  plane: new MemoryPlane(),
  clock: systemClock,
  metrics: () => Promise.resolve(''),
  randomBytes,
  version: '9.9.9',
}).flat();
const document = JSON.parse(JSON.stringify(openApi(all, '9.9.9'))) as Document;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);
const reference = readFileSync(new URL('../../../docs/reference/api.md', import.meta.url), 'utf8');

describe('the OpenAPI document', () => {
  it('is 3.1 and has every route once', () => {
    expect(document.openapi).toBe('3.1.0');
    expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(
      all.map(({ method, path }) => `${method} ${path}`).sort(),
    );
    expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(operations.length);
  });

  it.each(operations)('$method $path is whole', ({ path, method, operation }) => {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    const inPath = operation.parameters.filter((parameter) => parameter.in === 'path');
    expect(inPath.map((parameter) => parameter.name)).toEqual(named);
    expect(inPath.every((parameter) => parameter.required)).toBe(true);
    expect(operation.summary).not.toBe('');
    expect(document.tags.map((tag) => tag.name)).toEqual(expect.arrayContaining(operation.tags));
    expect(Object.keys(operation.responses).some((status) => status.startsWith('2'))).toBe(true);
    for (const response of Object.values(operation.responses)) expect(response.description).not.toBe('');
    expect(operation.requestBody !== undefined).toBe(method === 'post' || method === 'patch');
    const names = operation.parameters.map((parameter) => parameter.name);
    if (method !== 'get') expect(names).toContain('dry_run');
    expect(names.includes('Idempotency-Key')).toBe(method !== 'get');
    const match = operation.parameters.find((parameter) => parameter.name === 'If-Match');
    // A token is never changed, and of a consumer what is changed is given whole: nothing depends on what was read.
    const matches = method !== 'get' && !['tokens', 'consumers'].includes(operation.tags[0] ?? '');
    expect(match?.required).toBe(matches ? method === 'patch' : undefined);
  });

  it('refers only to schemas that it contains, and uses all of them', () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]);
    const contained = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    expect([...new Set(refs)].sort()).toEqual(contained.sort());
  });

  it('shuts request bodies and leaves answers open', () => {
    const shut = operations.flatMap(({ operation }) =>
      Object.values(operation.requestBody?.content ?? {}).map((content) => content.schema),
    );
    for (const schema of shut) expect(schema).toHaveProperty('additionalProperties');
    expect(document.components.schemas['Service']).not.toHaveProperty('additionalProperties');
  });
});

describe('docs/reference/api.md', () => {
  it('lists exactly the routes of the document', () => {
    const rows = [...reference.matchAll(/^\| `(DELETE|GET|PATCH|POST) (\/\S*)` +\|/gm)].map(
      ([, method = '', path = '']) => `${method.toLowerCase()} ${path}`,
    );
    expect(rows.sort()).toEqual(operations.map(({ method, path }) => `${method} ${path}`).sort());
  });

  it('lists exactly the codes with their status', () => {
    const rows = [...reference.matchAll(/^\| `(\w+)` +\| (\d{3}) +\|/gm)].map(([, code, status]) => [
      code,
      Number(status),
    ]);
    expect(rows).toEqual(Object.entries(PROBLEMS).map(([code, { status }]) => [code, status]));
  });
});

/*
 * `satisfies` in schema/resources.ts compares the schemas with the model; this compares the model with the schemas, so that
 * neither can grow a member or a state without the other. It is checked by the compiler.
 */
type Deep<T> = T extends readonly (infer E)[]
  ? readonly Deep<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Deep<T[K]> }
    : T;
type Says<S extends z.ZodType> = Deep<z.infer<S>>;
type Covers<M extends S, S> = [M, S];
export type ModelIsCovered = [
  Covers<model.InstanceResource, Says<typeof resource.instance>>,
  Covers<model.OperationResource, Says<typeof resource.operation>>,
  Covers<model.GatewayResource, Says<typeof resource.gateway>>,
  Covers<model.IntentResource, Says<typeof resource.intent>>,
  Covers<model.SetResource, Says<typeof sets.set>>,
  Covers<MutationResource, Says<typeof mutation.mutation>>,
  Covers<ReadinessResource, Says<typeof ready.readiness>>,
  Covers<model.Convergence, Says<typeof resource.convergence>>,
  Covers<Omit<model.ServiceResource, 'problems'>, Omit<Says<typeof resource.service>, 'problems'>>,
];
