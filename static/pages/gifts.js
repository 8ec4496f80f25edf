/* /gifts: received, created, and a form for a new one. */

import { create } from "./create_gift.js";
import { created, received } from "./gift_lists.js";
import { start, tabs } from "./shell.js";

start(() => tabs({ received, created, create }));
