-- luacheck reads this for `luacheck lua`: what each folder may name. What stands here as a table of fields is all there is of it:
-- another field is an error, also as math['random'] or through a local. control-plane/src/testing/lua_law.ts has the law of requires.
std = 'luajit'
max_line_length = 130

local any = { other_fields = true, read_only = true }

--- A table with these fields and no others.
local function only(names)
  local fields = {}
  for name in string.gmatch(names, '%S+') do fields[name] = any end
  return { fields = fields, other_fields = false, read_only = true }
end

--- Without clock, randomness, files, processes, code from text, and nginx: the same arguments give the same results.
stds.pure = {
  read_globals = {
    'assert', 'error', 'getmetatable', 'ipairs', 'next', 'pairs', 'pcall', 'rawequal', 'rawget', 'rawset', 'require', 'select',
    'setmetatable', 'tonumber', 'tostring', 'type', 'unpack',
    math = only 'abs ceil exp floor fmod frexp huge ldexp log max min modf pow sqrt',
    string = only 'byte char find format gmatch gsub len lower match rep reverse sub upper',
    table = only 'concat insert remove sort',
  },
}

--- What may touch the machine. Time comes from worker/clock.lua alone.
stds.machine = {
  read_globals = {
    'assert', 'collectgarbage', 'error', 'getmetatable', 'ipairs', 'next', 'pairs', 'pcall', 'rawequal', 'rawget', 'rawset',
    'require', 'select', 'setmetatable', 'tonumber', 'tostring', 'type', 'unpack',
    math = any, string = any, table = any, io = any, os = only 'getenv remove rename', package = only 'path searchpath',
  },
}

--- The parts of nginx that HTTP and any other protocol have: no request, no answer.
local SHARED = 'ERR WARN NOTICE INFO log null sleep timer worker shared config md5 sha1_bin hmac_sha1 socket thread'
stds.nginx = { read_globals = { ngx = only(SHARED) } }
stds.nginx_clock = { read_globals = { ngx = only(SHARED .. ' now update_time') } }

--- Those of a handshake.
stds.nginx_tls = { read_globals = { ngx = only(SHARED .. ' exit ERROR') } }

--- Those of a request over HTTP.
stds.nginx_http = { read_globals = { ngx = only(SHARED .. ' crc32_long exec exit print send_headers HTTP_OK') } }
local http = stds.nginx_http.read_globals.ngx.fields
for _, name in ipairs { 'arg', 'ctx', 'header', 'status', 'var' } do http[name] = { other_fields = true, read_only = false } end
http.req, http.resp = only 'clear_header get_headers get_method http_version set_header set_uri', only 'get_headers'
stds.nginx_pattern = { read_globals = { ngx = { fields = { re = only 'find' } } } }
stds.nginx_request_clock = { read_globals = { ngx = { fields = { req = only 'start_time' } } } }

files['lua/ebbgate/core'] = { std = 'pure' }
files['lua/ebbgate/worker'] = { std = 'machine+nginx' }
files['lua/ebbgate/worker/clock.lua'] = { std = 'machine+nginx_clock' }
files['lua/ebbgate/worker/pattern.lua'] = { std = 'machine+nginx+nginx_pattern' }
files['lua/ebbgate/phase/tls'] = { std = 'machine+nginx_tls' }
files['lua/ebbgate/phase/http'] = { std = 'machine+nginx_http' }
files['lua/ebbgate/phase/http/request_clock.lua'] = { std = 'machine+nginx_request_clock' }
files['lua/ebbgate/init.lua'] = { std = 'machine+nginx' }
files['lua/spec'] = { std = 'luajit+busted' }
files['lua/redis'] = { read_globals = { 'redis', 'KEYS', 'ARGV', 'cjson' } }
