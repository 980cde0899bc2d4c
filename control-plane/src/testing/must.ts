import type { Result } from '../model/result.js';

/** The value that was answered; throws the failure. */
export async function must<T>(answer: Promise<Result<T, unknown>>): Promise<T> {
  const result = await answer;
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}
