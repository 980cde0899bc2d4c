import type { TokenRecord } from '../model/token.js';

/** A record of a token of which only what is given matters. */
export function buildToken(parts: Partial<TokenRecord> & { readonly name: string }): TokenRecord {
  return {
    v: 1,
    id: '00112233445566ff',
    role: 'viewer',
    scope: '*',
    verifier: { salt: '0'.repeat(32), hash: '1'.repeat(64) },
    certificate: null,
    by: 'ann',
    reason: '',
    at: '2026-05-01T12:00:00.000Z',
    expires: null,
    ...parts,
  };
}
