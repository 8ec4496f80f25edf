-- Spends 2 credits of 1,000 of USERS users with each request, each with a key. Arguments: USERS.
require("report")

local item = '{"userId":"user-%d","amount":2,"appId":"chat","description":"GPT-4 message",'
  .. '"metadata":{"model":"gpt-4"},"idempotencyKey":"%s-%d"}'
local users, prefix
local count = 0

function init(arguments)
  users = tonumber(arguments[1])
  math.randomseed(os.time())
  prefix = string.format("%d-%d", os.time(), math.random(1e9))
end

function request()
  local items = {}
  for index = 1, 1000 do
    count = count + 1
    items[index] = item:format(math.random(users), prefix, count)
  end
  return wrk.format("POST", "/api/v1/internal/credits/use/batch", nil,
    '{"items":[' .. table.concat(items, ",") .. "]}")
end
