import { readFileSync, statSync } from 'node:fs';
import { err, ok, type Result } from '../model/result.js';
import { parseCredentials, type Credential } from './credentials.js';

/** The files that a connection to ZooKeeper needs; each is read again for every connection. */
export interface AccessFiles {
  /** Lines `digest:user:password`; empty = none. */
  readonly auth: string;
  /** Null = plain TCP. */
  readonly tls: TlsFiles | null;
}

/** PEM files; empty = none. */
export interface TlsFiles {
  /** Who signs the servers' certificates. Without one: whom Node trusts. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** What the files say now. */
export interface Access {
  readonly credentials: readonly Credential[];
  /** Where the credentials come from, for messages. */
  readonly credentialsFrom: string;
  readonly tls: TlsMaterial | null;
}

/** PEM texts. */
export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** No credentials, plain TCP. */
export const NO_ACCESS: Access = { credentials: [], credentialsFrom: '', tls: null };

/** Why a connection ended whose credentials ZooKeeper does not take. */
export function refusedCredentials(from: string): string {
  return `ZooKeeper refused the credentials of ${from}`;
}

/** Reads all files, now. A failure names the file and the remedy, and nothing of what is in it. */
export function readAccess(files: AccessFiles): Result<Access, string> {
  const credentials = files.auth === '' ? ok([]) : readCredentials(files.auth);
  if (!credentials.ok) return credentials;
  const tls = files.tls === null ? ok(null) : readTls(files.tls);
  if (!tls.ok) return tls;
  return ok({ credentials: credentials.value, credentialsFrom: files.auth, tls: tls.value });
}

/** The users of a file that only its owner and group may read. */
export function readCredentials(file: string): Result<readonly Credential[], string> {
  const text = readSecret(file);
  if (!text.ok) return text;
  const parsed = parseCredentials(text.value);
  return parsed.ok ? parsed : err(`${file}: ${parsed.error}`);
}

function readTls({ ca, cert, key }: TlsFiles): Result<TlsMaterial, string> {
  const material: { ca?: string; cert?: string; key?: string } = {};
  for (const [name, file, read] of [
    ['ca', ca, readCertificate],
    ['cert', cert, readCertificate],
    ['key', key, readKey],
  ] as const) {
    if (file === '') continue;
    const text = read(file);
    if (!text.ok) return text;
    material[name] = text.value;
  }
  return ok(material);
}

/** A file with certificates in PEM. */
export function readCertificate(file: string): Result<string, string> {
  const text = readText(file);
  if (!text.ok || text.value.includes('-----BEGIN CERTIFICATE-----')) return text;
  return err(`${file} has no certificate in PEM`);
}

/** A file with a private key in PEM, which only its owner and group may read. */
export function readKey(file: string): Result<string, string> {
  const text = readSecret(file);
  if (!text.ok || /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text.value)) return text;
  return err(`${file} has no private key in PEM`);
}

const READABLE_BY_ALL = 0o004;

function readSecret(file: string): Result<string, string> {
  try {
    if ((statSync(file).mode & READABLE_BY_ALL) !== 0)
      return err(`${file} can be read by everybody; chmod o= ${file}`);
  } catch (error) {
    return err(unreadable(file, error));
  }
  return readText(file);
}

function readText(file: string): Result<string, string> {
  try {
    return ok(readFileSync(file, 'utf8'));
  } catch (error) {
    return err(unreadable(file, error));
  }
}

function unreadable(file: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  return `${file} cannot be read: ${code}`;
}
