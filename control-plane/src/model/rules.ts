/* The rules that tables of members (model/shape.ts) are made of. */

const DAY_MS = 86_400_000;

/** A token of HTTP: the name of a header, a cookie or a query argument. */
export const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
/** What is one, and what is not. */
export const TOKENS = {
  good: ['x-user', 'A1', "!#$%&'*+.^_`|~-"],
  bad: ['', 'a b', 'a;b', 'a"b', 'é', 'a\n'],
};

/** A whole number, both ends included. */
export const whole = (min: number, max: number) => ({ kind: 'whole', min, max }) as const;
/** Up to a day. */
export const milliseconds = (min: number) => whole(min, DAY_MS);
/** From 0. */
export const percent = (max: number) => whole(0, max);
/** True or false. */
export const flag = { kind: 'flag' } as const;
/** Text of at most so many characters; `hint` with its `{most}`. */
export const text = (
  pattern: RegExp,
  most: number,
  hint: string,
  examples: { readonly good: readonly string[]; readonly bad: readonly string[] },
) => ({ kind: 'text', pattern, most, hint: hint.replace('{most}', String(most)), ...examples }) as const;
