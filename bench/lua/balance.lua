-- Requests the balance of a random one of USERS users. Arguments: USERS.
require("report")

local users

function init(arguments)
  users = tonumber(arguments[1])
  math.randomseed(os.time())
end

function request()
  return wrk.format("GET", "/api/v1/internal/credits/balance/user-" .. math.random(users))
end
