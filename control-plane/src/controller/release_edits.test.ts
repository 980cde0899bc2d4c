import { expect, it } from 'vitest';
import type { ReleaseWish } from '../model/release_plane.js';
import { requestOf } from './release_edits.js';

const wish = (query: string): ReleaseWish => ({
  ...{ service: 'shop', target: 'v2', stable: null, steps: null, deadline_ms: null, supersede: false },
  ...{ in_place: null, like: null, plan_hash: null },
  gates: { prometheus: [{ name: 'lag', query, max: 1, min: null }] },
});

it('two requests are the same only if all of them is, however long they are', () => {
  expect(requestOf(wish('lag'))).toBe(JSON.stringify(wish('lag')));
  const long = 'x'.repeat(3_000);
  expect(requestOf(wish(long))).toBe(requestOf(wish(long)));
  expect(requestOf(wish(`${long}a`))).not.toBe(requestOf(wish(`${long}b`)));
  expect(requestOf(wish(long)).length).toBeLessThanOrEqual(1_000);
});
