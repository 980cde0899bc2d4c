import { expect, test } from 'vitest';
import type { Registration } from '../model/registration.js';
import { buildRegistration } from '../testing/builders.js';
import { arrival } from './membership_events.js';

const BEFORE = buildRegistration({ id: 'a', incarnation: '01', labels: { team: 'shop' } });

test.each<[string, Partial<Registration>, string]>([
  ['unready', { ready: false }, 'ready yes → no'],
  ['weight and version', { weight: 50, version: 'v2' }, 'version v1 → v2, weight 100 → 50'],
  ['a zone', { zone: 'eu-1' }, 'zone none → eu-1'],
  ['the address', { host: '10.0.0.9', port: 81 }, 'host 10.0.0.1 → 10.0.0.9, port 8080 → 81'],
  ['backup', { backup: true }, 'backup no → yes'],
  ['a persistent node', { persistent: true }, 'persistent node no → yes'],
  ['labels', { labels: { constructor: 'x' } }, 'label constructor none → "x", label team "shop" → none'],
])('%s is reported from → to', (_, change, said) => {
  const [event, message] = arrival({ registration: BEFORE, presence: 'present' }, { ...BEFORE, ...change });
  expect([event, message]).toEqual(['updated', `changed its registration: ${said}`]);
});

test('a new session with the same data changes nothing, and no longer leaving is reported', () => {
  const same = arrival({ registration: BEFORE, presence: 'present' }, { ...BEFORE, incarnation: '02' });
  expect(same).toEqual(['updated', 'registered again at 10.0.0.1:8080 version v1, unchanged']);
  const leaving = { ...BEFORE, leaving: true };
  expect(arrival({ registration: BEFORE, presence: 'present' }, leaving)[0]).toBe('leaving');
  expect(arrival({ registration: leaving, presence: 'present' }, BEFORE)[1]).toContain('leaving yes → no');
});
