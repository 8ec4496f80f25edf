-- Requests PATH with GET. Arguments: PATH.
require("report")

function init(arguments)
  wrk.path = arguments[1]
end
