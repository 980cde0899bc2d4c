/**
 * The gateway's own conf with its Lua emptied: the same handlers in the same phases, which do nothing but send each request
 * to the next of `ports`. What it costs above static nginx is what nginx takes for calling Lua at all.
 */
export function bareConf(conf: string, ports: readonly number[]): string {
  const verbs = ['init', 'init_worker', 'access', 'header_filter', 'body_filter', 'log', 'metrics', 'sets'];
  const bare = `local balancer, ports, turn = require "ngx.balancer", { ${ports.join(', ')} }, 0
    local function nothing() end
    ebbgate = {
        ${verbs.map((verb) => `${verb} = nothing,`).join(' ')}
        route = function() return "bench" end,
        balance = function()
            turn = turn % #ports + 1
            balancer.set_current_peer("127.0.0.1", ports[turn])
        end,
        healthz = function() ngx.print("ok") end, readyz = function() ngx.print("ok") end,
    }`;
  return conf.replace('ebbgate = require("ebbgate.init")', bare);
}
