import { expect, test } from 'vitest';
import { ok } from '../../model/result.js';
import { createFakeClock } from '../../testing/clock.js';
import { ServiceQueue } from './service_queue.js';

/** Work that ends when the test says so. */
function work(
  diary: string[],
  name: string,
): { end: () => void; run: () => Promise<{ ok: true; value: string }> } {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return {
    end: () => {
      end();
    },
    run: async () => {
      diary.push(`${name} begins`);
      await ended;
      diary.push(`${name} ends`);
      return ok(name);
    },
  };
}

const idle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('changes of one service go one after the other, of two services side by side, of all alone', async () => {
  const queue = new ServiceQueue(createFakeClock());
  const diary: string[] = [];
  const parts = ['a1', 'a2', 'b1', 'all', 'a3'].map((name) => ({ name, ...work(diary, name) }));
  const taken = parts.map(({ name, run }) => queue.take(name === 'all' ? null : name.slice(0, 1), run));
  for (const { end } of parts.toReversed()) {
    await idle();
    end();
  }
  expect((await Promise.all(taken)).map((one) => (one.ok ? one.value : one.error.code))).toEqual(
    parts.map(({ name }) => name),
  );
  expect(diary).toEqual([
    ...['a1 begins', 'b1 begins', 'b1 ends', 'a1 ends', 'a2 begins', 'a2 ends'],
    ...['all begins', 'all ends', 'a3 begins', 'a3 ends'],
  ]);
});

test('work that throws gives its turn on; who waited too long is refused and changes nothing', async () => {
  const clock = createFakeClock();
  const queue = new ServiceQueue(clock);
  const first = queue.take('a', () => Promise.reject(new Error('broken')));
  let ran = 0;
  const second = queue.take('a', async () => {
    await clock.advance(11_000);
    ran += 1;
    return ok(null);
  });
  const third = queue.take('a', () => {
    ran += 1;
    return Promise.resolve(ok(null));
  });
  await expect(first).rejects.toThrow('broken');
  expect((await second).ok).toBe(true);
  expect(await third).toMatchObject({ ok: false, error: { code: 'store_unavailable' } });
  expect(ran).toBe(1);
});
