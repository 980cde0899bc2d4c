--- Which requests may be sent again after an instance may have seen them.
local get_method = ngx.req.get_method

local methods = {}

--- Idempotent by RFC 9110 (9.2.2), and of WebDAV by RFC 4918; no other, whatever its name. nginx itself repeats every method
--- that it does not know.
local IDEMPOTENT = {
  GET = true, HEAD = true, OPTIONS = true, TRACE = true, PUT = true, DELETE = true,
  PROPFIND = true, PROPPATCH = true, MKCOL = true, COPY = true, MOVE = true, UNLOCK = true,
}

--- Those that change nothing (RFC 9110, 9.2.1), but for TRACE, which no service has.
local SAFE = { GET = true, HEAD = true, OPTIONS = true }

--- True if the current request may be repeated after an instance may have seen it.
function methods.may_repeat() return IDEMPOTENT[get_method()] == true end

--- True if the current request changes nothing and ends with its answer: it may find out whether an instance is well again.
function methods.is_safe() return SAFE[get_method()] == true and not ngx.var.http_upgrade end

return methods
