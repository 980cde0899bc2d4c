import { expect, it } from 'vitest';
import type { ReleaseRequest } from '../../model/release_plane.js';
import { buildRelease } from '../../testing/releases.js';
import { begunBy, requestOf } from './edits.js';

const asked = (query: string): ReleaseRequest => ({
  ...{ service: 'shop', target: 'v2', stable: null, strategy: null, deadline_ms: null, supersede: false },
  ...{ like: null, plan_hash: null, start_deadline_ms: null, min_ready: null },
  gates: { prometheus: [{ name: 'lag', query, max: 1, min: null }] },
});

it('two requests are the same only if all of them is, however long they are', () => {
  expect(requestOf(asked('lag'))).toBe(JSON.stringify(asked('lag')));
  const long = 'x'.repeat(3_000);
  expect(requestOf(asked(long))).toBe(requestOf(asked(long)));
  expect(requestOf(asked(`${long}a`))).not.toBe(requestOf(asked(`${long}b`)));
  expect(requestOf(asked(long)).length).toBeLessThanOrEqual(1_000);
});

it('a request that comes again is the release it began, also when that has ended; its key with another request is refused', () => {
  const began = buildRelease({ id: 'rel-7', verbs: [{ key: 'k1', request: 'this' }] });
  const running = { current: { service: 'shop', record: began, etag: '1' }, history: [] };
  const ended = { current: null, history: [began] };
  for (const releases of [running, ended]) {
    expect(begunBy(releases, 'k1', 'this')).toEqual({ ok: true, value: began });
    expect(begunBy(releases, 'k1', 'that')).toMatchObject({ error: { code: 'idempotency_conflict' } });
    expect(begunBy(releases, 'k2', 'that')).toEqual({ ok: true, value: null });
    expect(begunBy(releases, null, 'this')).toEqual({ ok: true, value: null });
  }
});
