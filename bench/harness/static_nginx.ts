/**
 * The gateway's own conf with everything of Ebbgate taken out: no Lua, the instances written into the upstream. What is
 * left is the same nginx with the same proxy settings, headers and logs: what somebody would run without dynamic upstreams.
 */
export function staticConf(conf: string, peers: readonly string[]): string {
  const servers = peers.map((peer) => `server ${peer};`).join('\n        ');
  return withoutLua(withoutAdmin(conf))
    .replace(/^ *server 0\.0\.0\.1 down;$/m, `        ${servers}`)
    .replace(/^ *set \$ebb_\w+ "";\n/gm, '')
    .replace(/^ *\w+_set_header X-Ebbgate-Consumer .*\n/gm, '')
    .replaceAll('$ebb_service', 'bench')
    .replaceAll('$ebb_version', 'v1')
    .replaceAll('$ebb_aborted_by', '')
    .replace(/\$ebb_(?:limited_by|route|consumer|key_id)\b/g, '')
    .replaceAll('$ebb_instances', '$upstream_addr');
}

function withoutLua(conf: string): string {
  return conf
    .replace(/^load_module .*\n/gm, '')
    .replace(/^ *lua_.*\n/gm, '')
    .replace(/^( *)(?:\w+_by_lua_block\b.*|if \(\$ebb_service .*) \{\n(?:\1 .*\n)*\1\}\n/gm, '');
}

/** The admin listener, the last server of the conf, speaks Lua only: only what shows that nginx runs is kept of it. */
function withoutAdmin(conf: string): string {
  return conf.replace(/location = \/healthz \{[\s\S]*$/, 'location / { return 200; }\n    }\n}\n');
}
