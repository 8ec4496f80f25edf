-- Reserves 2 credits of a random one of USERS users and then commits them. Half of the requests are
-- commits. Arguments: USERS.
require("report")

local users
local reserved = {}

function init(arguments)
  users = tonumber(arguments[1])
  math.randomseed(os.time())
end

function request()
  local id = table.remove(reserved)
  if id then
    return wrk.format("POST", "/api/v1/internal/credits/commit", nil,
      string.format('{"reservationId":"%s","description":"GPT-4 message"}', id))
  end
  return wrk.format("POST", "/api/v1/internal/credits/reserve", nil,
    string.format('{"userId":"user-%d","amount":2,"reason":"chat:gpt-4"}', math.random(users)))
end

function response(status, headers, body)
  local id = body:match('"reservationId":"([^"]+)"')
  if id then
    table.insert(reserved, id)
  end
end
