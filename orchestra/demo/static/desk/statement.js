// The statement, in a window of its own: an approval goes to the desk, and the window closes.

import { byId } from "../js/dom.js";

byId("approve").addEventListener("click", () => {
  opener?.postMessage({ approved: byId("fees").textContent }, location.origin);
  close();
});
byId("approve").disabled = false;
