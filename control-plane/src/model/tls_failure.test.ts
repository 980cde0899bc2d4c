import { expect, it } from 'vitest';
import { isBeforeRequest, tlsFailure } from './tls_failure.js';

const failed = (code: string, more: object = {}) => Object.assign(new Error('x'), { code, ...more });

it.each([
  ['SELF_SIGNED_CERT_IN_CHAIN', /not trusted here \(SELF_SIGNED/, /EBBGATE_API_CA to the file/],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', /signed by itself/, /EBBGATE_API_CA/],
  ['CERT_HAS_EXPIRED', /has expired/, /EBBGATE_API_TLS_CERT/],
  ['ERR_SSL_WRONG_VERSION_NUMBER', /speaks no TLS/, /http:\/\//],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', /client certificate/, /EBBGATE_API_CERT/],
])('%s says what is wrong and what to set', (code, reason, remedy) => {
  const found = tlsFailure(failed(code));
  expect(found?.reason).toMatch(reason);
  expect(found?.remedy).toMatch(remedy);
});

it('a wrong name is shown with the names that there are', () => {
  const reason = "Host: b. is not in the cert's altnames: DNS:a";
  expect(tlsFailure(failed('ERR_TLS_CERT_ALTNAME_INVALID', { reason }))?.reason).toContain(reason);
});

it('everything else is no failure of TLS, and may have been sent', () => {
  for (const error of [failed('ECONNRESET'), failed('toString'), new Error('x'), null, 'x'])
    expect(tlsFailure(error)).toBeNull();
  expect(isBeforeRequest('ECONNRESET')).toBe(false);
  expect(isBeforeRequest('CERT_HAS_EXPIRED')).toBe(true);
  // In TLS 1.3 a client hears of it after it has sent its request.
  expect(isBeforeRequest('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED')).toBe(false);
});
