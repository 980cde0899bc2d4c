--- A certificate and its key, as they are in files: what clients are shown, for which names, and until when.
---
--- lua-resty-core parses both; what they say is read by the libcrypto that nginx has loaded.
local ffi = require 'ffi'
local ssl = require 'ngx.ssl'

pcall(ffi.cdef, [[
  typedef struct { int type; void *value; } ebbgate_general_name;
  void *BIO_new_mem_buf(const void *bytes, int length);
  int BIO_free(void *bio);
  void *PEM_read_bio_X509(void *bio, void **out, void *callback, void *data);
  void X509_free(void *certificate);
  int X509_check_private_key(const void *certificate, const void *key);
  const void *X509_get0_notAfter(const void *certificate);
  int ASN1_TIME_diff(int *days, int *seconds, const void *from, const void *to);
  void *X509_get_ext_d2i(const void *certificate, int nid, int *critical, int *index);
  int OPENSSL_sk_num(const void *stack);
  ebbgate_general_name *OPENSSL_sk_value(const void *stack, int index);
  void GENERAL_NAMES_free(void *names);
  int ASN1_STRING_length(const void *text);
  const unsigned char *ASN1_STRING_get0_data(const void *text);
  void ERR_clear_error(void);
]])

local C = ffi.C
local SUBJECT_ALT_NAME, DNS = 85, 2
local DAY = 86400

local certificate = {}

--- The first certificate of a chain in PEM, freed with its table; or nil.
local function leaf_of(pem)
  local bio = C.BIO_new_mem_buf(pem, #pem)
  local found = C.PEM_read_bio_X509(bio, nil, nil, nil)
  C.BIO_free(bio)
  return found ~= nil and ffi.gc(found, C.X509_free) or nil
end

--- The DNS names that it is for, in lower case.
local function names_of(leaf)
  local list, names = C.X509_get_ext_d2i(leaf, SUBJECT_ALT_NAME, nil, nil), {}
  if list == nil then return names end
  for i = 0, C.OPENSSL_sk_num(list) - 1 do
    local one = C.OPENSSL_sk_value(list, i)
    if one.type == DNS then
      local text = ffi.string(C.ASN1_STRING_get0_data(one.value), C.ASN1_STRING_length(one.value))
      names[#names + 1] = string.lower(text)
    end
  end
  C.GENERAL_NAMES_free(list)
  return names
end

--- Seconds from now until it ends; below 0 = it has ended.
local function left_of(leaf)
  local days, seconds = ffi.new('int[1]'), ffi.new('int[1]')
  if C.ASN1_TIME_diff(days, seconds, nil, C.X509_get0_notAfter(leaf)) ~= 1 then return nil end
  return days[0] * DAY + seconds[0]
end

--- Of a chain and its key in PEM: {names, ends (unix seconds), chain, key (both for ngx.ssl)}; or nil and why it cannot be used.
--- `now`: the wall clock.
function certificate.read(chain_pem, key_pem, now)
  local leaf = leaf_of(chain_pem)
  C.ERR_clear_error()
  if not leaf then return nil, 'it has no certificate in PEM' end
  local chain = ssl.parse_pem_cert(chain_pem)
  if not chain then return nil, 'what follows the certificate is none' end
  local key = ssl.parse_pem_priv_key(key_pem)
  C.ERR_clear_error()
  if not key then return nil, 'its key is no private key in PEM, or has a passphrase' end
  local fits = C.X509_check_private_key(leaf, key) == 1
  C.ERR_clear_error()
  if not fits then return nil, 'its key belongs to another certificate' end
  local names, left = names_of(leaf), left_of(leaf)
  if not names[1] then return nil, 'it is for no DNS name (subjectAltName)' end
  if not left then return nil, 'its end cannot be read' end
  return { names = names, ends = math.floor(now) + left, chain = chain, key = key }
end

return certificate
