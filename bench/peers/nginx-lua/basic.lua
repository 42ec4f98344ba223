-- The PII policy `basic`: redacts and hashes at any depth, compares names without case, _ and -.
-- lua-cjson cannot distinguish an empty array from an empty object: `[]` becomes `{}`.
local digest = require 'openssl.digest'
local hex = require 'hex'

local gsub, lower, match, type, pairs = string.gsub, string.lower, string.match, type, pairs

local redacted = { ssn = true, creditcard = true, password = true, secret = true }

-- Caches normalized names: there are few, and they repeat.
local names, remembered = {}, 0
local function plain(name)
  local known = names[name]
  if not known then
    known = lower((gsub(name, '[_-]', '')))
    if remembered < 10000 then
      names[name] = known
      remembered = remembered + 1
    end
  end
  return known
end

local function hash(address)
  return hex(digest.new('sha256'):final(lower(match(address, '^%s*(.-)%s*$'))))
end

local function clean(value)
  if type(value) ~= 'table' then return value end
  if value[1] ~= nil then
    for index = 1, #value do value[index] = clean(value[index]) end
    return value
  end
  local keep = value._preserveEmail == true
  local hashed
  for name, field in pairs(value) do
    local known = type(name) == 'string' and plain(name) or name
    if redacted[known] then
      value[name] = '[REDACTED]'
    elseif known == 'email' and not keep then
      hashed = type(field) == 'string' and hash(field) or '[REDACTED]'
      value[name] = nil
    elseif known == 'preserveemail' then
      value[name] = nil
    elseif type(field) == 'table' then
      value[name] = clean(field)
    end
  end
  if hashed then value.email_hash = hashed end
  return value
end

return clean
