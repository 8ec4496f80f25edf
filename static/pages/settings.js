/* /credits/settings: the low-balance notice, the spending limits and the automatic top-up. */

import { $ } from "./dom.js";
import { limits } from "./limits.js";
import { part, start } from "./shell.js";
import { topUp } from "./top_up.js";

start(() => Promise.all([part($("#limits-panel"), limits), part($("#top-up"), topUp)]));
