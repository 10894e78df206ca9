// Orders: one by a form, many by a file that is dropped or chosen.

import { byId, element } from "../js/dom.js";
import { send } from "./api.js";

export function startForm() {
  byId("order").addEventListener("submit", async (event) => {
    event.preventDefault();
    const fault = byId("order-fault");
    fault.hidden = true;
    byId("placed").textContent = "";
    try {
      const order = await send("/api/orders", "POST", { ticker: byId("ticker").value, quantity: byId("quantity").value });
      const total = order.total.toLocaleString("en-US", { style: "currency", currency: "USD" });
      byId("placed").textContent = `${order.quantity} ${order.ticker} for ${total}`;
    } catch (error) {
      fault.textContent = error.message;
      fault.hidden = false;
    }
  });
}

export function startImport(dropLost) {
  const show = async (file) => {
    const lines = (await file.text()).trim().split("\n").slice(1);
    const rows = lines.map((line) => line.split(","));
    byId("imported").replaceChildren(...rows.map(([ticker, quantity]) => element("li", {}, `${quantity} ${ticker}`)));
  };
  const input = byId("file");
  const drop = byId("drop");
  byId("choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => show(input.files[0]));
  drop.addEventListener("dragover", (event) => event.preventDefault());
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file && !dropLost) show(file);
  });
}
