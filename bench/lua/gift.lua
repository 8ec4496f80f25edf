-- Half of the users put a credit into a gift each time, the other half redeem those gifts. Half of
-- the requests redeem. Arguments: tokens of an even number of users.
require("report")

local tokens = {}
local made = {}
local count = 0

function init(arguments)
  for index, token in ipairs(arguments) do
    tokens[index] = "Bearer " .. token
  end
end

local function send(path, user, body)
  wrk.headers["Authorization"] = tokens[user]
  return wrk.format("POST", path, nil, body)
end

function request()
  local gift = table.remove(made, 1)
  local half = #tokens / 2
  count = count + 1
  if gift then
    return send("/api/v1/gifts/" .. gift .. "/redeem", half + count % half + 1, '{"sourceAppId":"web"}')
  end
  return send("/api/v1/gifts", count % half + 1, '{"totalCredits":1}')
end

function response(status, headers, body)
  if status == 201 then
    table.insert(made, body:match('"code":"([^"]+)"'))
  end
end
