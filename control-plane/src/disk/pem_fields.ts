import type { Field } from '../model/field.js';
import { err, ok, type Result } from '../model/result.js';
import { readCertificate, readKey } from './pem_files.js';

/** The name of a PEM file with certificates; empty = none. */
export const certificateFileField = fileField('PEM file', readCertificate);
/** The name of a PEM file with a private key; empty = none. */
export const keyFileField = fileField('PEM file', readKey);

/** The name of a file that `read` takes. Kept as its name: it is read again whenever it is needed. */
export function fileField(label: string, read: (path: string) => Result<unknown, string>): Field<string> {
  return {
    label,
    parse: (value) => {
      if (value === '') return ok(value);
      if (!value.startsWith('/')) return err('must be an absolute path');
      const content = read(value);
      return content.ok ? ok(value) : content;
    },
  };
}
