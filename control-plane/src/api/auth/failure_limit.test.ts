import { expect, it } from 'vitest';
import { createFakeClock } from '../../testing/clock.js';
import { FailureLimit } from './failure_limit.js';

it('lets an address fail 20 times, then once a second, and no other pays for it', async () => {
  const clock = createFakeClock();
  const limit = new FailureLimit(clock);
  for (let n = 0; n < 20; n += 1) {
    expect(limit.wait('10.0.0.1')).toBe(0);
    limit.failed('10.0.0.1');
  }
  expect(limit.wait('10.0.0.1')).toBe(1);
  expect(limit.wait('10.0.0.2')).toBe(0);
  await clock.advance(999);
  expect(limit.wait('10.0.0.1')).toBe(1);
  await clock.advance(1);
  expect(limit.wait('10.0.0.1')).toBe(0);
  limit.failed('10.0.0.1');
  expect(limit.wait('10.0.0.1')).toBe(1);
});

it('of an IPv6 host its network counts, however it is spelled', () => {
  const limit = new FailureLimit(createFakeClock());
  for (let n = 0; n < 20; n += 1) limit.failed(`2001:db8::${n.toString(16)}:1`);
  expect(limit.wait('2001:0db8:0:0:ffff::9')).toBe(1);
  expect(limit.wait('2001:db8:0:1::9')).toBe(0);
  expect(limit.wait('::1')).toBe(0);
});

it('an IPv4 host counts alone, also where it came in by IPv6', () => {
  const limit = new FailureLimit(createFakeClock());
  for (let n = 0; n < 20; n += 1) limit.failed('::ffff:10.0.0.1');
  expect(limit.wait('::ffff:10.0.0.1')).toBe(1);
  expect(limit.wait('10.0.0.1')).toBe(1);
  expect(limit.wait('::ffff:10.0.0.2')).toBe(0);
});

it('remembers 10,000 addresses at most, and forgets the one that failed longest ago', () => {
  const limit = new FailureLimit(createFakeClock());
  for (let n = 0; n < 20; n += 1) limit.failed('10.0.0.1');
  for (let n = 0; n < 9_999; n += 1) limit.failed(`10.1.${String(n >> 8)}.${String(n & 255)}`);
  expect([limit.size, limit.wait('10.0.0.1')]).toEqual([10_000, 1]);
  limit.failed('10.2.0.1');
  expect([limit.size, limit.wait('10.0.0.1')]).toEqual([10_000, 0]);
});
