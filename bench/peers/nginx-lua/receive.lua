-- One delivery: verifies v0, redacts, hashes, remembers and appends in one call, responds.
local cjson = require 'cjson.safe'
local hmac = require 'openssl.hmac'
local redis = require 'nginx.redis'
local clean = require 'basic'
local hex = require 'hex'
local append = require 'append'

cjson.encode_number_precision(14) -- the maximum of lua-cjson

local secret = os.getenv('CIO_WEBHOOK_SECRET')
local port = redis_port
local sha1 = hex(require('openssl.digest').new('sha1'):final(append))

local ngx, tonumber = ngx, tonumber
local KEEP_MS, POOL = 60000, 256
local TOLERANCE_SECONDS, FUTURE_SECONDS = 687600, 300

local function answer(status, body)
  ngx.status = status
  ngx.header['Content-Length'] = #body
  ngx.print(body)
end

local function verified(body)
  local timestamp, signature = ngx.var.http_x_cio_timestamp, ngx.var.http_x_cio_signature
  local seconds = tonumber(timestamp)
  if not seconds or not signature or not body then return false end
  local age = ngx.time() - seconds
  if age > TOLERANCE_SECONDS or age < -FUTURE_SECONDS then return false end
  return hex(hmac.new(secret, 'sha256'):update('v0:', timestamp, ':'):final(body)) == signature
end

local function call(id, kind, event)
  local connection = redis:new()
  connection:set_timeouts(1000, 2000, 2000)
  local ok, failure = connection:connect('127.0.0.1', port)
  if not ok then return nil, failure end
  local key = 'dedupe:' .. id
  local reply
  reply, failure = connection:evalsha(sha1, 2, key, 'events', kind, event)
  if not reply and failure and failure:sub(1, 8) == 'NOSCRIPT' then
    reply, failure = connection:eval(append, 2, key, 'events', kind, event)
  end
  if reply then connection:set_keepalive(KEEP_MS, POOL) else connection:close() end
  return reply, failure
end

return function()
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  if not verified(body) then
    return answer(401, '{"error":"Invalid webhook signature","code":"CIO_SIGNATURE_INVALID"}')
  end
  local payload = cjson.decode(body)
  if type(payload) ~= 'table' or type(payload.event_id) ~= 'string' then
    return answer(400, '{"error":"Not an event","code":"CIO_NOT_AN_EVENT"}')
  end
  local id = payload.event_id
  local kind = 'io.customer.' .. tostring(payload.object_type) .. '.' .. tostring(payload.metric)
  local reply = call(id, kind, cjson.encode(clean(payload)))
  if not reply then return answer(503, '{"error":"Unavailable","code":"CIO_UNAVAILABLE"}') end
  answer(200, '{"status":"' .. (reply == 1 and 'accepted' or 'duplicate') .. '","id":"' .. id .. '"}')
end
