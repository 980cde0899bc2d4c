-- luacheck reads this for `luacheck lua`: what each folder may name.
std = 'luajit'
max_line_length = 130
files['lua/ebbgate/worker'] = { std = 'luajit+ngx_lua' }
files['lua/ebbgate/phase'] = { std = 'luajit+ngx_lua' }
files['lua/ebbgate/init.lua'] = { std = 'luajit+ngx_lua' }
files['lua/spec'] = { std = 'luajit+busted' }
files['lua/redis'] = { read_globals = { 'redis', 'KEYS', 'ARGV', 'cjson' } }
