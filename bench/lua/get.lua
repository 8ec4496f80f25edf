-- Gets PATH again and again. Arguments: PATH.
require("report")

function init(arguments)
  wrk.path = arguments[1]
end
