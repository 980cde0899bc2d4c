import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A certificate and its key, as files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority of its own; everything it signs is good for two days, unless it says otherwise. */
export class Authority {
  readonly #self: Certificate;

  constructor(
    readonly dir: string,
    readonly name: string,
  ) {
    this.#self = this.#files(name);
    this.#openssl('req', '-x509', ...NEW_KEY, '-subj', `/CN=${name}`, '-days', '2', ...out(this.#self));
  }

  /** The file that others believe by. */
  get ca(): string {
    return this.#self.cert;
  }

  /**
   * Signs a certificate for a DNS name, or for `names` as openssl writes them: `DNS:a,IP:127.0.0.1`; empty = its common name alone. `days`: how long it is
   * good, below 0 it has ended.
   */
  sign(name: string, names = `DNS:${name}`, { days = 2 }: { readonly days?: number } = {}): Certificate {
    const made = this.#files(`${this.name}-${name}`);
    const [request, extensions] = [`${made.cert}.csr`, `${made.cert}.ext`];
    writeFileSync(extensions, names === '' ? 'basicConstraints=CA:FALSE\n' : `subjectAltName=${names}\n`);
    this.#openssl('req', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', made.key, '-out', request);
    const by = ['-CA', this.#self.cert, '-CAkey', this.#self.key, '-CAcreateserial'];
    const until = ['-days', String(days), '-extfile', extensions];
    this.#openssl('x509', '-req', '-in', request, ...by, ...until, '-out', made.cert);
    return made;
  }

  #files(name: string): Certificate {
    return { cert: join(this.dir, `${name}.pem`), key: join(this.dir, `${name}.key`) };
  }

  #openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { stdio: 'ignore' });
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function out({ cert, key }: Certificate): readonly string[] {
  return ['-keyout', key, '-out', cert];
}
