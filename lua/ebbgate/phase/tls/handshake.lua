--- The handshake with a client: which certificate it is shown.
local ssl = require 'ngx.ssl'
local live = require 'ebbgate.worker.live'

local handshake = {}

--- In ssl_certificate_by_lua: the certificate for the name that the client asks for. Who asks for none, or for one that no
--- certificate is for, is shown that of the listener.
function handshake.certificate()
  local name = ssl.server_name()
  local found = name and live.certificates:find(name)
  if not found then return end
  local done, why = ssl.clear_certs()
  if done then done, why = ssl.set_cert(found.chain) end
  if done then done, why = ssl.set_priv_key(found.key) end
  if done then return end
  ngx.log(ngx.ERR, 'ebbgate: the certificate of ', name, ' cannot be shown: ', why)
  return ngx.exit(ngx.ERROR)
end

return handshake
