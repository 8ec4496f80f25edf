-- Puts a credit into a gift of one of the users, then redeems it with the next one's token, and so
-- on: half of the requests redeem. Arguments: tokens of several users.
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
  if gift then
    count = count + 1
    return send("/api/v1/gifts/" .. gift .. "/redeem", count % #tokens + 1, '{"sourceAppId":"web"}')
  end
  return send("/api/v1/gifts", (count + #tokens / 2) % #tokens + 1, '{"totalCredits":1}')
end

function response(status, headers, body)
  if status == 201 then
    table.insert(made, body:match('"code":"([^"]+)"'))
  end
end
