import { expect, it } from 'vitest';
import { beyond } from './role.js';

it('a change beyond the services of a token names those, in order and once', () => {
  expect(beyond('*', ['shop', '@routes', '*'])).toBeNull();
  expect(beyond('shop*', ['shop', 'shop-eu'])).toBeNull();
  expect(beyond('shop', ['web', 'shop', 'cart', 'web'])).toMatchObject({
    ...{ code: 'forbidden', detail: expect.stringContaining('touches cart, web.') as string },
  });
  expect(beyond('', ['shop'])).not.toBeNull();
});
