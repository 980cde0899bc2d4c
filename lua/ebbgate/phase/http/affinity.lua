--- What ties a request to an instance: a key that is hashed, or a cookie that names one.
local add_header = require('ngx.resp').add_header
local upstreams = require 'ebbgate.core.upstream'
local hash = require 'ebbgate.core.hash'
local sticky = require 'ebbgate.core.sticky'
local microseconds = require('ebbgate.worker.clock').microseconds

local affinity = {}

local crc32, mix = ngx.crc32_long, hash.mix

--- Once per request, so that its retries agree. CRC-32 gives each text its number, but does not spread them: `mix` does.
function affinity.read(ctx, upstream, var)
  local name, settings = upstream.key_variable, upstream.sticky
  local text = name and var[name]
  if text and text ~= '' then ctx.key = mix(crc32(text)) end
  if settings then ctx.token = var[settings.variable] or false end
end

--- True if the client's cookie names an instance that drains but keeps it: the client is served although new ones are not.
function affinity.is_kept(upstream, var)
  local settings = upstream.sticky
  local token = settings and var[settings.variable]
  return token and upstreams.named(upstream, token) ~= nil
end

--- With the head of an instance's answer: how long it took, and a cookie if the client's own names another instance.
---
--- The cookie goes on to the instances as any other: it says nothing to them, and taking it out would cost every request.
function affinity.note(ctx, var)
  local member = ctx.member
  if not member then return end
  if ctx.began then ctx.took = microseconds() - ctx.began end
  local upstream = ctx.entry.upstream
  local settings = upstream and upstream.sticky
  if not settings or not member.token or member.token == ctx.token then return end
  local scheme = var.ebb_forwarded_proto or var.scheme
  add_header('Set-Cookie', sticky.cookie(settings, member.token, scheme == 'https' or scheme == 'wss'))
end

return affinity
