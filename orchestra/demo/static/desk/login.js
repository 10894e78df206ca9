// The form to sign in; the server sets the cookie, which no script can read.

import { byId } from "../js/dom.js";
import { mutated, send } from "./api.js";

const broken = await mutated();

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await send("/api/session", "POST", { user: byId("user").value, password: byId("password").value });
    location.assign("/");
  } catch (error) {
    byId("fault").textContent = error.message;
    byId("fault").hidden = broken("c001");
  }
});
byId("sign-in").disabled = false;
