import { expect, test } from 'vitest';
import { TreeMirror, type TreeNode } from './mirror.js';

const node = (mzxid: string, czxid = '01'): TreeNode => ({
  czxid,
  mzxid,
  pzxid: '01',
  numChildren: 0,
  ctime: 0,
  mtime: 0,
  version: 0,
  ephemeralOwner: '0',
  data: Buffer.from(mzxid),
});
const readData = (mirror: TreeMirror): Record<string, string> =>
  Object.fromEntries([...mirror.snapshot()].map(([path, { mzxid }]) => [path, mzxid]));

test('an older read never takes back what is newer', () => {
  const mirror = new TreeMirror();
  expect(mirror.put('/r/a', node('05'))).toBe(true);
  expect(mirror.put('/r/a', node('04'))).toBe(false);
  mirror.drop('/r/a', '04');
  mirror.keepChildren('/r', new Set(), '04');
  expect(readData(mirror)).toEqual({ '/r/a': '05' });
  mirror.drop('/r/a', '05');
  expect(readData(mirror)).toEqual({});
});

test('a node goes with everything under it', () => {
  const mirror = new TreeMirror();
  for (const path of ['/r', '/r/a', '/r/a/b', '/r/a/b/c', '/r/ab']) mirror.put(path, node('01'));
  mirror.drop('/r/a', '09');
  expect(Object.keys(readData(mirror))).toEqual(['/r', '/r/ab']);
  mirror.keepChildren('/r', new Set(['/r/x']), '09');
  expect(Object.keys(readData(mirror))).toEqual(['/r']);
});

test('only what differs counts as a change', () => {
  const mirror = new TreeMirror();
  mirror.put('/r', node('01'));
  expect(mirror.takeChanged()).toEqual(new Set(['/r']));
  const before = mirror.get('/r');
  mirror.put('/r', node('01'));
  mirror.drop('/r/none', '09');
  expect(mirror.hasChanged).toBe(false);
  expect(mirror.get('/r')).toBe(before);
  mirror.put('/r', node('02', '02'));
  expect(mirror.takeChanged()).toEqual(new Set(['/r']));
  mirror.put('/r/a', node('03'));
  mirror.refuse('/r/b', 'no', '03');
  mirror.takeChanged();
  mirror.clear();
  expect(mirror.takeChanged()).toEqual(new Set(['/r', '/r/a', '/r/b']));
});

test('an older node from a server that has come past the newer one is a contradiction; an answer from before it is not', () => {
  const mirror = new TreeMirror();
  mirror.put('/r/a', node('05'));
  mirror.put('/r/a', node('03'), '04');
  mirror.put('/r/a', node('05'), '09');
  mirror.put('/r/b', node('03'), '09');
  expect(mirror.contradicted).toBeNull();
  mirror.put('/r/a', node('03'), '05');
  expect(mirror.contradicted).toBe('/r/a');
  mirror.clear();
  expect(mirror.contradicted).toBeNull();
});
