import { fileField } from '../disk/pem_fields.js';
import type { Field } from '../model/field.js';
import { err, ok, type Result } from '../model/result.js';
import { readCredentials, type AccessFiles } from './access.js';
import { parseAcl, type AclEntry } from './acl.js';

/** The name of a file with credentials that can be used; empty = none. */
export const credentialsFileField = fileField('file with lines digest:user:password', readCredentials);

/** ACL entries as zkCli writes them. */
export const aclField: Field<readonly AclEntry[]> = {
  label: 'ACL entries, comma-separated, or none',
  parse: parseAcl,
};

/** What a person asked for, after each value was checked by itself. */
export interface AccessChoice {
  readonly auth: string;
  readonly tls: 'on' | 'off';
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** The files of a choice; an error names, by `names`, what contradicts what. */
export function accessFilesOf(
  { auth, tls, ca, cert, key }: AccessChoice,
  names: Readonly<Record<Exclude<keyof AccessChoice, 'auth'>, string>>,
): Result<AccessFiles, string> {
  if (tls === 'off') {
    const unused = [
      [ca, names.ca],
      [cert, names.cert],
      [key, names.key],
    ].find(([file]) => file !== '');
    if (unused) return err(`${String(unused[1])}: needs ${names.tls}`);
    return ok({ auth, tls: null });
  }
  if (cert !== '' && key === '') return err(`${names.key}: is missing; ${names.cert} needs its key`);
  if (key !== '' && cert === '') return err(`${names.cert}: is missing; ${names.key} needs its certificate`);
  return ok({ auth, tls: { ca, cert, key } });
}
