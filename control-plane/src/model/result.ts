/** An expected failure is a value; misuse throws. `ok` distinguishes the two. */
export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

/** A success carrying `value`. */
export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

/** A failure carrying `error`. */
export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

type ValueOf<R> = R extends { readonly ok: true; readonly value: infer T } ? T : never;
type ErrorOf<R> = R extends { readonly ok: false; readonly error: infer E } ? E : never;

/** All values, in their order; or the first failure. */
export function allOf<R extends readonly Result<unknown, unknown>[]>(
  results: readonly [...R],
): Result<{ readonly [K in keyof R]: ValueOf<R[K]> }, ErrorOf<R[number]>> {
  const failed = results.find((result) => !result.ok);
  if (failed?.ok === false) return err(failed.error as ErrorOf<R[number]>);
  const values = results.map((result) => (result.ok ? result.value : null));
  return ok(values as unknown as { readonly [K in keyof R]: ValueOf<R[K]> });
}
