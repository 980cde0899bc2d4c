--- What the specs hand to core in place of nginx's own: a JSON decoder, SHA-1, a seeded generator.
local bit = require 'bit'
local cjson = require 'cjson'

local tools = {}

local band, bor, bxor, bnot, rol, tobit = bit.band, bit.bor, bit.bxor, bit.bnot, bit.rol, bit.tobit

local function pad(text)
  local bits = #text * 8
  local zeros = string.rep('\0', (55 - #text) % 64)
  local length = {}
  for i = 8, 1, -1 do
    length[i] = string.char(bits % 256)
    bits = math.floor(bits / 256)
  end
  return text .. '\128' .. zeros .. table.concat(length)
end

local function mix(round, b, c, d)
  if round < 20 then return bor(band(b, c), band(bnot(b), d)), 0x5a827999 end
  if round < 40 then return bxor(b, c, d), 0x6ed9eba1 end
  if round < 60 then return bor(band(b, c), band(b, d), band(c, d)), 0x8f1bbcdc end
  return bxor(b, c, d), 0xca62c1d6
end

--- SHA-1 (FIPS 180-4), lower-case hex.
function tools.sha1(text)
  local message = pad(text)
  local h = { 0x67452301, tobit(0xefcdab89), tobit(0x98badcfe), 0x10325476, tobit(0xc3d2e1f0) }
  for chunk = 1, #message, 64 do
    local w = {}
    for i = 0, 15 do
      local p, q, r, s = string.byte(message, chunk + i * 4, chunk + i * 4 + 3)
      w[i] = tobit(p * 16777216 + q * 65536 + r * 256 + s)
    end
    for i = 16, 79 do w[i] = rol(bxor(w[i - 3], w[i - 8], w[i - 14], w[i - 16]), 1) end
    local a, b, c, d, e = h[1], h[2], h[3], h[4], h[5]
    for i = 0, 79 do
      local f, k = mix(i, b, c, d)
      a, b, c, d, e = tobit(rol(a, 5) + f + e + k + w[i]), a, rol(b, 30), c, d
    end
    for i, value in ipairs({ a, b, c, d, e }) do h[i] = tobit(h[i] + value) end
  end
  local hex = {}
  for i = 1, 5 do hex[i] = bit.tohex(h[i]) end
  return table.concat(hex)
end

--- Like nginx's: null is a userdata; an empty array and an empty object are the same.
tools.json = cjson.decode
tools.quote = cjson.encode
tools.null = cjson.null

--- A JSON file of the contract.
function tools.contract(name)
  local file = assert(io.open('docs/contract/' .. name .. '.json', 'rb'))
  local text = file:read('*a')
  file:close()
  return (text:gsub('\n$', ''))
end

--- A file of the contract's examples.
function tools.example(name)
  return tools.contract('examples/' .. name)
end

--- A generator of its own, so that a failing seed can be tried again: `random()` in [0, 1), `random(n)` in 1 … n.
function tools.random(seed)
  local state = seed % 2147483647
  if state == 0 then state = 1 end
  return function(n)
    state = (state * 48271) % 2147483647
    local unit = (state - 1) / 2147483646
    return n and math.floor(unit * n) + 1 or unit
  end
end

--- Fails unless `condition`; `format` and what follows say why not. For loops of thousands, where luassert would
--- take longer than what is tested.
function tools.ensure(condition, format, ...)
  if condition then return end
  error(format and format:format(...) or 'what is said is not so', 2)
end

return tools
