-- Bytes to lower-case hex, one table look-up per byte.
local digits = {}
for byte = 0, 255 do digits[string.char(byte)] = string.format('%02x', byte) end

return function(bytes)
  return (string.gsub(bytes, '.', digits))
end
