import { expect, test } from 'vitest';
import { askInTurn } from './in_turn.js';

/** What each address answers; null = nothing. */
function asking(answers: Record<string, string | null>) {
  const asked: string[] = [];
  const ask = askInTurn(
    Object.keys(answers),
    (address) => () => {
      asked.push(address);
      return Promise.resolve(answers[address] ?? null);
    },
    (answer) => answer !== null,
  );
  return { asked, ask: (signal = new AbortController().signal) => ask(signal) };
}

test('the first that answers is asked first from then on', async () => {
  const answers: Record<string, string | null> = { a: null, b: 'yes', c: 'yes' };
  const { asked, ask } = asking(answers);
  expect(await ask()).toBe('yes');
  expect(await ask()).toBe('yes');
  expect(asked).toEqual(['a', 'b', 'b']);
  answers['b'] = null;
  expect(await ask()).toBe('yes');
  expect(asked.slice(3)).toEqual(['b', 'c']);
});

test('where nobody answers each is asked once, and at the end of the time no more', async () => {
  const { asked, ask } = asking({ a: null, b: null });
  expect(await ask()).toBeNull();
  expect(asked).toEqual(['a', 'b']);
  expect(await ask(AbortSignal.abort())).toBeNull();
  expect(asked).toEqual(['a', 'b', 'a']);
});
