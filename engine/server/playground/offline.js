// Says on every page that the server can't be reached, until it can.

import { onReachable } from "./api.js";
import { h } from "./dom.js";

const words = "The server can't be reached. It is tried again until it answers; jobs are kept.";
const place = h("div", { class: "offline", role: "alert" });
document.getElementById("main")?.before(place);
onReachable((reachable) => place.replaceChildren(...(reachable ? [] : [h("p", { class: "notice bad" }, words)])));
