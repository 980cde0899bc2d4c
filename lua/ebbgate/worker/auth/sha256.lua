--- SHA-256 of bytes where they are, by the libcrypto that nginx has loaded: no text is made of what is hashed.
local ffi = require 'ffi'

--- Under names of our own: another module may have declared them otherwise.
ffi.cdef [[
  int ebb_sha256_init(void *context) __asm__("SHA256_Init");
  int ebb_sha256_update(void *context, const void *data, size_t length) __asm__("SHA256_Update");
  int ebb_sha256_final(void *digest, void *context) __asm__("SHA256_Final");
  int ebb_evp_digest(const void *data, size_t length, void *digest, unsigned int *size, const void *type, void *engine)
    __asm__("EVP_Digest");
  const void *ebb_evp_sha256(void) __asm__("EVP_sha256");
]]

local sha256 = {}

--- Larger than libcrypto's SHA256_CTX, which has 112 bytes.
local CONTEXT_BYTES = 256

local function has(library, name) return pcall(function() return library[name] end) end

--- A function (data, length, digest) that writes 32 bytes to `digest`. `library`: where libcrypto is, if not in this process.
--- Throws if it is not there.
function sha256.new(library)
  library = library or ffi.C
  if has(library, 'ebb_sha256_init') then
    local room = ffi.new('uint8_t[?]', CONTEXT_BYTES)
    local context = ffi.cast('void *', room)
    return function(data, length, digest)
      library.ebb_sha256_init(context)
      library.ebb_sha256_update(context, data, length)
      library.ebb_sha256_final(digest, context)
      return room
    end
  end
  -- A libcrypto without its older names.
  local kind = library.ebb_evp_sha256()
  return function(data, length, digest) library.ebb_evp_digest(data, length, digest, nil, kind, nil) end
end

return sha256
