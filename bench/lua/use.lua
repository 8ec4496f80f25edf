-- Spends 2 credits of a random one of USERS users. With "key", each request has a new idempotency
-- key. Arguments: USERS, optionally "key".
require("report")

local body = '{"userId":"user-%d","amount":2,"appId":"chat","description":"GPT-4 message",'
  .. '"metadata":{"model":"gpt-4"}%s}'
local users, prefix
local count = 0

function init(arguments)
  users = tonumber(arguments[1])
  math.randomseed(os.time())
  if arguments[2] == "key" then
    prefix = string.format("%d-%d", os.time(), math.random(1e9))
  end
end

function request()
  local key = ""
  if prefix then
    count = count + 1
    key = string.format(',"idempotencyKey":"%s-%d"', prefix, count)
  end
  return wrk.format("POST", "/api/v1/internal/credits/use", nil,
    string.format(body, math.random(users), key))
end
