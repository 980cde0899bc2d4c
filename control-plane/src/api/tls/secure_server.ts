import { constants } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import type { ServerIdentity } from '../../model/api_tls.js';
import type { Log } from '../../model/ports.js';
import { PROBLEMS } from '../../model/problem.js';

/** A client that has not finished its handshake by then is cut off; the others do not wait for it. */
export const HANDSHAKE_MS = 5_000;

/** What OpenSSL finds where HTTP, or something else, is spoken instead of TLS. */
const NO_TLS: ReadonlySet<string> = new Set(['ERR_SSL_HTTP_REQUEST', 'ERR_SSL_WRONG_VERSION_NUMBER']);

/** The control API by HTTPS. */
export interface SecureServer {
  readonly server: Server;
  /** New connections get `identity`; those that are open stay. If other clients are believed now, those that showed a certificate are ended. */
  renew(identity: ServerIdentity, before: ServerIdentity): void;
  /** Ends every connection, those in their handshake too. */
  cut(): void;
}

/**
 * A server that speaks TLS 1.2 and above. A client's certificate is asked for if there is an authority for it, and verified; who shows none, or
 * another one, is let in all the same: the API says what it lacks. Whoever speaks plain HTTP is answered in it, 400, and cut off.
 */
export function createSecureServer(
  identity: ServerIdentity,
  answer: RequestListener,
  log: Log,
): SecureServer {
  const server = createServer(
    {
      ...contextOf(identity),
      requestCert: identity.clientCa !== null,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_MS,
      ALPNProtocols: ['http/1.1'],
    },
    answer,
  );
  const open = new Map<string, Socket>();
  const proven = new Set<TLSSocket>();
  server.on('connection', (socket: Socket) => {
    const place = placeOf(socket);
    open.set(place, socket);
    socket.once('close', () => {
      if (open.get(place) === socket) open.delete(place);
    });
  });
  server.on('secureConnection', (socket) => {
    if (!socket.authorized) return;
    proven.add(socket);
    socket.once('close', () => proven.delete(socket));
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const { code = error.message } = error;
    log.debug({ from: socket.remoteAddress, code }, 'no TLS connection was made');
    const plain = open.get(placeOf(socket));
    if (NO_TLS.has(code) && plain?.writable === true) plain.end(SPEAK_TLS);
  });
  return {
    server,
    renew: (now, before) => {
      server.setSecureContext(contextOf(now));
      if (now.clientCa !== before.clientCa) for (const socket of proven) socket.destroy();
    },
    cut: () => {
      server.closeAllConnections();
      for (const socket of open.values()) socket.destroy();
    },
  };
}

function contextOf({ cert, key, clientCa }: ServerIdentity): SecureContextOptions {
  return {
    ...{ cert, key, minVersion: 'TLSv1.2' },
    ...(clientCa === null ? {} : { ca: clientCa }),
    // No session is resumed: each connection verifies the client's certificate, by the authority and the clock of that moment.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${String(remoteAddress)} ${String(remotePort)}`;
}

const BODY = JSON.stringify({
  type: 'urn:ebbgate:problem:invalid_request',
  title: PROBLEMS.invalid_request.title,
  status: 400,
  code: 'invalid_request',
  detail: 'this port speaks TLS: write https:// in the address of the control API',
});
const SPEAK_TLS = [
  'HTTP/1.1 400 Bad Request',
  'Content-Type: application/problem+json; charset=utf-8',
  `Content-Length: ${String(Buffer.byteLength(BODY))}`,
  'Connection: close',
  '',
  BODY,
].join('\r\n');
