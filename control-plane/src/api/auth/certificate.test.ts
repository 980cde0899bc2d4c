import { expect, it } from 'vitest';
import { shownCertificate } from './certificate.js';

const VALID_TO = 'Dec  3 11:50:39 2026 GMT';

/** What a verified connection shows of a certificate, as Node reads it. */
function named(
  subjectaltname: string | undefined,
  CN?: string | readonly string[],
): string | null | undefined {
  const certificate = { subject: { CN }, subjectaltname, valid_to: VALID_TO };
  return shownCertificate({ authorized: true, getPeerCertificate: () => certificate })?.name;
}

it.each([
  ['DNS:ann.example, URI:spiffe://x/ann', 'cn', 'ann.example'],
  ['URI:spiffe://x/ann, DNS:ann.example', 'cn', 'spiffe://x/ann'],
  ['IP Address:10.0.0.1, email:ann@example.org, DNS:ann.example', 'cn', 'ann.example'],
  ['IP Address:10.0.0.1', 'cn', 'cn'],
  ['email:ann@example.org', undefined, null],
  [undefined, 'cn', 'cn'],
  [undefined, ['one', 'two'], null],
  [undefined, '', null],
  [undefined, undefined, null],
  // One value that contains what looks like another name.
  ['URI:"http://x/, DNS:admin.example"', 'cn', 'http://x/, DNS:admin.example'],
  ['email:"a, DNS:admin.example"', 'cn', 'cn'],
  ['email:"a\\", DNS:admin.example", DNS:ann.example', 'cn', 'ann.example'],
])('%j with the common name %j names %j', (alternatives, commonName, name) => {
  expect(named(alternatives, commonName)).toBe(name);
});

it('nobody is shown by a plain connection, or by one without a certificate', () => {
  expect(shownCertificate({})).toBeNull();
  expect(shownCertificate({ authorized: false, getPeerCertificate: () => ({}) })).toBeNull();
});

it('one that is not verified says why', () => {
  const certificate = { subject: { CN: 'ann' }, valid_to: VALID_TO };
  const socket = { authorized: false, authorizationError: 'CERT_HAS_EXPIRED' };
  expect(shownCertificate({ ...socket, getPeerCertificate: () => certificate })).toEqual({
    ...{ flaw: 'CERT_HAS_EXPIRED', name: 'ann', ends: Date.parse(VALID_TO) },
  });
});
