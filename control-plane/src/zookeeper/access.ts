import { readCertificate, readKey, readSecret } from '../disk/pem_files.js';
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
