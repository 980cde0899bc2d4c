/** What ioredis says, in our words; answers of the server (`NOSCRIPT …`) stay as they are. */
export function describeError(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message === 'Command timed out') return `no answer within ${String(timeoutMs)} ms`;
  if (/^(Connection is closed|Reached the max retries|Stream isn't writeable)/.test(error.message))
    return 'the connection was lost';
  if (error.message !== '') return error.message;
  return 'code' in error ? String(error.code) : error.name; // an AggregateError of several addresses says nothing
}
