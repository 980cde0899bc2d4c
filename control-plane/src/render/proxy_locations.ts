import { type TlsProfile } from './field.js';

/*
 * nginx takes the conditions of a retry and the protocol of an upstream from its conf alone. So there is a named
 * location for each combination that a set can ask for: the gateway's Lua (core/proxy_location.lua) chooses one by its name
 * before it picks an instance. What most services want, plain HTTP and retries after errors, needs none.
 */

/** A named location. */
export interface ProxyLocation {
  readonly location: string;
  readonly kind: 'proxy' | 'grpc';
  /** Where it passes requests to: scheme and upstream. */
  readonly pass: string;
  /** The words of `proxy_next_upstream`. */
  readonly next: string;
  readonly tls: TlsProfile | null;
}

interface Transport {
  readonly name: string;
  readonly scheme: 'http' | 'https' | 'grpc' | 'grpcs';
  readonly upstream: string;
  readonly tls: TlsProfile | null;
}

const RETRY_WORDS = {
  error: 'error timeout invalid_header',
  gateway_error: 'error timeout invalid_header http_502 http_503 http_504',
  server_error: 'error timeout invalid_header http_500 http_502 http_503 http_504 http_429',
} as const;

function transportsOf(profiles: readonly TlsProfile[]): readonly Transport[] {
  const plain = (['http', 'grpc'] as const).map((scheme) => ({
    name: scheme,
    scheme,
    upstream: scheme === 'http' ? 'ebbgate_upstream' : 'ebbgate_grpc',
    tls: null,
  }));
  const secure = profiles.flatMap((tls) =>
    (['https', 'grpcs'] as const).map((scheme) => ({
      name: `${scheme}-${tls.name}`,
      scheme,
      upstream: `ebbgate_${scheme}_${tls.name}`,
      tls,
    })),
  );
  return [...plain, ...secure];
}

/** The names of the `upstream` blocks: one for each protocol and TLS profile. */
export function upstreamsOf(profiles: readonly TlsProfile[]): readonly string[] {
  return transportsOf(profiles).map(({ upstream }) => upstream);
}

/** Every one of a server that has these TLS profiles. */
export function proxyLocationsOf(profiles: readonly TlsProfile[]): readonly ProxyLocation[] {
  return transportsOf(profiles)
    .flatMap((transport) =>
      Object.entries(RETRY_WORDS).flatMap(([word, words]) => [
        proxyLocation(transport, word, words),
        proxyLocation(transport, `${word}-any`, `${words} non_idempotent`),
      ]),
    )
    .filter(({ location }) => location !== '@ebb-http-error');
}

function proxyLocation(transport: Transport, name: string, next: string): ProxyLocation {
  const { scheme, tls } = transport;
  return {
    location: `@ebb-${transport.name}-${name}`,
    kind: scheme === 'grpc' || scheme === 'grpcs' ? 'grpc' : 'proxy',
    pass: `${scheme}://${transport.upstream}`,
    next,
    tls,
  };
}
