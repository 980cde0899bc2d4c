import { readFileSync, statSync } from 'node:fs';
import { err, ok, type Result } from '../model/result.js';

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

/** A file that only its owner and group may read. A failure names it and the remedy, and nothing of what is in it. */
export function readSecret(file: string): Result<string, string> {
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
