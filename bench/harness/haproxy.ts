/** HAProxy with the same duty: round robin over `peers`, kept connections on both sides, the same headers, no log. */
export function haproxyConf(port: number, peers: readonly string[]): string {
  const servers = peers.map((peer, i) => `    server s${i} ${peer} weight 100 pool-max-conn 64 maxconn 1000`);
  return `global
    nbthread 1
    maxconn 4000

defaults
    mode http
    option http-keep-alive
    http-reuse always
    timeout connect 500ms
    timeout client 60s
    timeout server 60s
    timeout http-request 15s
    retries 1
    option redispatch
    unique-id-format %{+X}o%ci%cp%fi%fp%Ts%rt%pid

frontend bench
    bind 127.0.0.1:${port}
    http-request del-header Forwarded
    http-request set-header X-Request-Id %[unique-id]
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[dst_port]
    http-response set-header X-Request-Id %[unique-id]
    default_backend instances

backend instances
    balance roundrobin
${servers.join('\n')}
`;
}
