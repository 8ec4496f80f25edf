-- Asks for the balance of one of USERS users each time. Arguments: USERS.
require("report")

local users

function init(arguments)
  users = tonumber(arguments[1])
  math.randomseed(os.time())
end

function request()
  return wrk.format("GET", "/api/v1/internal/credits/balance/user-" .. math.random(users))
end
