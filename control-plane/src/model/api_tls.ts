/*
 * TLS of the control API: what a controller shows of itself, and what whoever asks one believes and shows. All PEM texts.
 */

/** The files of a controller's certificate; `clientCa` empty = nobody is asked for a certificate. */
export interface ServerFiles {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string;
}

/** What the control API is served with. */
export interface ServerIdentity {
  /** The certificate, and those between it and its authority. */
  readonly cert: string;
  readonly key: string;
  /** Who signs the certificates of clients; null = none is asked for. */
  readonly clientCa: string | null;
  /** When the certificate ends, or one between it and its authority if that ends sooner: Unix milliseconds. */
  readonly ends: number;
  /** True if the certificate names `host`, a DNS name or an IP address. */
  readonly isFor: (host: string) => boolean;
}

/** Which of the files cannot be used, and why: a sentence that names the file and what to do. */
export interface UnusableFile {
  readonly of: keyof ServerFiles;
  readonly message: string;
}

/** What whoever asks the control API believes, and shows of itself. Without `ca`: whom Node trusts. */
export interface ClientIdentity {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}
