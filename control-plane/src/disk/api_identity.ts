import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { ClientIdentity, ServerFiles, ServerIdentity, UnusableFile } from '../model/api_tls.js';
import { err, ok, type Result } from '../model/result.js';
import { readCertificate, readKey } from './pem_files.js';

/** Files of whoever asks the control API; empty = none. */
export interface ClientFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Reads what the control API is served with, now, and tries it: OpenSSL takes what this gives. */
export function readServerIdentity(files: ServerFiles): Result<ServerIdentity, UnusableFile> {
  const pair = readPair(files.cert, files.key);
  if (!pair.ok) return pair;
  const { cert, key, chain } = pair.value;
  const clientCa = files.clientCa === '' ? ok(null) : readCertificates(files.clientCa);
  if (!clientCa.ok) return unusable('clientCa', clientCa.error);
  const [own] = chain;
  return ok({
    ...{ cert, key, clientCa: clientCa.value?.text ?? null },
    ends: Math.min(...chain.map(({ validTo }) => Date.parse(validTo))),
    isFor: (host) => (isIP(host) === 0 ? own.checkHost(host) : own.checkIP(host)) !== undefined,
  });
}

/** Reads what a client believes and shows, now. A failure names the file and what to do. */
export function readClientIdentity({ ca, cert, key }: ClientFiles): Result<ClientIdentity, string> {
  const trusted = ca === '' ? ok(null) : readCertificates(ca);
  if (!trusted.ok) return trusted;
  const believed = trusted.value === null ? {} : { ca: trusted.value.text };
  if (cert === '') return ok(believed);
  const pair = readPair(cert, key);
  if (!pair.ok) return err(pair.error.message);
  return ok({ ...believed, cert: pair.value.cert, key: pair.value.key });
}

type Chain = readonly [X509Certificate, ...X509Certificate[]];

function readPair(
  certFile: string,
  keyFile: string,
): Result<{ readonly cert: string; readonly key: string; readonly chain: Chain }, UnusableFile> {
  const certificates = readCertificates(certFile);
  if (!certificates.ok) return unusable('cert', certificates.error);
  const { text: cert, chain } = certificates.value;
  const key = readKey(keyFile);
  if (!key.ok) return unusable('key', key.error);
  const fits = keyFits(chain[0], key.value);
  if (fits === null)
    return unusable('key', `${keyFile} has no key that can be used; write it in PEM, without a passphrase`);
  if (!fits)
    return unusable('key', `${keyFile} is not the key of the certificate in ${certFile}; write both anew`);
  try {
    createSecureContext({ cert, key: key.value });
    return ok({ cert, key: key.value, chain });
  } catch (error) {
    // As of a key that is too short.
    return unusable('cert', `${certFile} cannot be used: ${messageOf(error)}; have another one made`);
  }
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g;

/** All certificates of a PEM file, at least one. */
function readCertificates(file: string): Result<{ readonly text: string; readonly chain: Chain }, string> {
  const text = readCertificate(file);
  if (!text.ok) return text;
  try {
    const [first, ...more] = (text.value.match(BLOCK) ?? []).map((block) => new X509Certificate(block));
    if (first !== undefined) return ok({ text: text.value, chain: [first, ...more] });
  } catch {
    // As below.
  }
  return err(`${file} has a certificate that cannot be read; write it anew, in PEM`);
}

/** Null: `pem` is no key that can be used. */
function keyFits(certificate: X509Certificate, pem: string): boolean | null {
  try {
    return certificate.checkPrivateKey(createPrivateKey(pem));
  } catch {
    return null;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function unusable(of: UnusableFile['of'], message: string): Result<never, UnusableFile> {
  return err({ of, message });
}
