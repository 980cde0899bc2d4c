import type { Request } from 'express';
import { Refusal } from '../refusal.js';

/**
 * Without a token the loopback address is the only protection, and a web page in the operator's browser can reach
 * that: under a name that its owner re-points at 127.0.0.1 (seen by Host), or straight (seen by Origin).
 */
export function checkLocal(request: Request): void {
  const host = request.get('host') ?? '';
  if (!isLoopback(hostname(host)))
    throw new Refusal({
      code: 'forbidden',
      field: 'header.host',
      detail: `without a token the API answers only to loopback names and addresses, not to ${JSON.stringify(host)}; set EBBGATE_TOKEN to serve others`,
    });
  checkOrigin(request, request.secure ? 'https' : 'http');
}

/** Refuses what a web page of another origin asks for. */
export function checkOrigin(request: Request, scheme: 'http' | 'https'): void {
  const origin = request.get('origin');
  if (origin !== undefined && origin !== `${scheme}://${request.get('host') ?? ''}`)
    throw new Refusal({
      code: 'forbidden',
      field: 'header.origin',
      detail: 'without a token the API takes no requests from web pages of another origin',
    });
}

function hostname(host: string): string {
  return /^(\[[^\]]*\]|[^:]*)(?::\d+)?$/.exec(host)?.[1]?.toLowerCase() ?? '';
}

/** True if `host` names this machine's loopback: localhost, 127.0.0.0/8 or ::1 (with or without brackets). */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1' || host === '[::1]') return true;
  return /^127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(host);
}
