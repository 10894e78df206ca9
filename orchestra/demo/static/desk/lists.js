// Priorities, which are dragged, and the activity, which grows as it is scrolled.

import { byId, element } from "../js/dom.js";
import { send } from "./api.js";

const PRIORITIES = ["Fills", "Reports", "Mail", "Fees"];

export function startPriorities(moveLost) {
  const list = byId("priorities");
  let dragged = null;
  for (const text of PRIORITIES) list.append(element("li", { draggable: "true" }, text));
  list.addEventListener("dragstart", (event) => {
    dragged = event.target;
  });
  list.addEventListener("dragover", (event) => event.preventDefault());
  list.addEventListener("drop", (event) => {
    event.preventDefault();
    const onto = event.target.closest("li");
    if (!dragged || !onto || onto === dragged || moveLost) return;
    const down = dragged.compareDocumentPosition(onto) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (down) onto.after(dragged);
    else onto.before(dragged);
    for (const item of list.children) item.classList.toggle("moved", item === dragged);
  });
}

export async function startActivity(moreLost) {
  const list = byId("activity");
  const scroller = byId("scroller");
  let loading = false;
  const more = async () => {
    if (loading) return;
    loading = true;
    const { entries, total } = await send(`/api/activity?from=${list.children.length}`);
    list.append(...entries.map((text) => element("li", {}, text)));
    byId("shown").textContent = `${list.children.length} of ${total} entries`;
    loading = list.children.length === total;
  };
  scroller.addEventListener("scroll", () => {
    const end = scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - 4;
    if (end && !moreLost) more();
  });
  await more();
}
