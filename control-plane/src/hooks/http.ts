import { request } from 'undici';
import type { HookFailure } from '../model/hooks.js';
import { err, ok, type Result } from '../model/result.js';

/** An answer longer than this is no answer. */
const MAX_BYTES = 1_048_576;
/** Statuses that ask for time (409: the same key is being worked on); all other 4xx refuse for good. */
const RETRY_LATER: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/**
 * Asks once, follows no redirect, and never throws. The value is what a 2xx answer said: JSON, else its text; null if it was
 * empty.
 */
export async function ask(
  url: string,
  how: {
    readonly method: 'GET' | 'POST';
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string;
  },
  signal: AbortSignal,
): Promise<Result<unknown, HookFailure>> {
  const { origin } = new URL(url);
  try {
    // Calls are rare: a kept connection would more often be found closed than save time.
    const options = { ...how, body: how.body ?? null, signal, reset: true };
    const { statusCode: status, body } = await request(url, options);
    const text = await readBounded(body);
    if (text === null) return unanswered(`${origin} answered more than ${MAX_BYTES} bytes`);
    if (status >= 500 || RETRY_LATER.has(status)) return unanswered(`${origin} answered ${status}`);
    if (status >= 300) {
      const hint = status < 400 ? '; redirects are not followed' : '';
      return err({ kind: 'refused', reason: `${origin} answered ${status}${hint}${quote(text)}` });
    }
    return ok(text.trim() === '' ? null : parsed(text));
  } catch (error) {
    return unanswered(`${origin} does not answer: ${reasonOf(error)}`);
  }
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    // Leaving the loop destroys the body, and with it the connection.
    if (bytes > MAX_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The JSON in `text`, or `text` itself: whoever only wants to know that it was taken needs none. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function unanswered(reason: string): Result<never, HookFailure> {
  return err({ kind: 'unanswered', reason });
}

/** The beginning of what was said, on one line. */
function quote(text: string): string {
  const line = text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  return line === '' ? '' : `: ${line.length > 200 ? `${line.slice(0, 199)}…` : line}`;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'timed out';
  if (error.name === 'AbortError') return 'this controller is stopping';
  return error.message || ('code' in error ? String(error.code) : error.name);
}
