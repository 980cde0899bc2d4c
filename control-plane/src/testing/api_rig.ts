import { randomBytes } from 'node:crypto';
import supertest from 'supertest';
import { beforeEach, expect } from 'vitest';
import { createApp } from '../api/app.js';
import * as mutation from '../api/schema/mutation.js';
import { systemClock } from '../clock.js';
import { PROBLEMS, type ProblemCode } from '../model/problem.js';
import { createRecordingLog } from './log.js';
import { MemoryPlane } from './memory_plane.js';

/*
 * The real API in front of a plane in memory, without a port: for the tests of its routes.
 */

/** An instance of `shop`, as the API names it. */
export const INSTANCE = '/v1/services/shop/instances/10.0.1.7:8080';

/** The plane of this test: a service `shop` with two instances. Its waits end when `closing` aborts. */
export const behind = { plane: new MemoryPlane(), closing: new AbortController() };

/** Gives each test of a file a plane of its own. */
export function usePlane(): void {
  beforeEach(() => {
    behind.closing = new AbortController();
    behind.plane = new MemoryPlane().add('shop', ['10.0.1.7:8080', '10.0.1.8:8080']);
  });
}

/** Asks an API of the present plane. */
export function client(
  token: string | null = null,
  metrics = () => Promise.resolve('up 1\n'),
  log = createRecordingLog(),
) {
  let ids = 0;
  const app = createApp({
    plane: behind.plane,
    log,
    token,
    clock: systemClock,
    version: '9.9.9',
    randomId: () => `id-${String(++ids)}`,
    randomBytes,
    metrics,
    closing: behind.closing.signal,
  });
  return supertest(app);
}

/** Every problem has every member, and says what `expected` says. */
export function expectProblem(
  response: supertest.Response,
  code: ProblemCode,
  expected: { readonly field?: string; readonly detail?: RegExp | string } = {},
): void {
  expect(response.body).toMatchObject({ code });
  expect(response.status).toBe(PROBLEMS[code].status);
  expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(mutation.problem.parse(response.body)).toMatchObject({
    type: `urn:ebbgate:problem:${code}`,
    title: PROBLEMS[code].title,
    request_id: response.headers['x-request-id'],
  });
  if (expected.field !== undefined) expect(response.body.field).toBe(expected.field);
  if (expected.detail) expect(response.body.detail).toMatch(expected.detail);
}
