// Puts the desk together. `<html data-ready="true">` reports that it can be used.

import { byId } from "../js/dom.js";
import { mutated, send } from "./api.js";
import { startActivity, startPriorities } from "./lists.js";
import { startForm, startImport } from "./orders.js";

const CLOSE = "2026-03-13T20:00:00Z";

async function startTools(broken) {
  const { user, role } = await send("/api/me");
  const news = byId("news");
  byId("who").textContent = `Signed in as ${user}, ${role}`;
  if (broken("c002")) byId("mark").removeAttribute("alt");
  byId("statement").addEventListener("click", () => open("/statement", "statement", "width=500,height=400"));
  addEventListener("message", (event) => {
    if (event.origin !== location.origin || !event.data.approved || broken("c004")) return;
    news.textContent = `The statement of ${event.data.approved} is approved.`;
  });
  byId("audit").hidden = role !== "admin";
  byId("audit").addEventListener("click", async () => {
    const { audit } = await send("/api/audits", "POST");
    news.dataset.audit = audit;
    news.textContent = `Audit ${audit} has begun. Its result comes by mail.`;
  });
  byId("sign-out").addEventListener("click", async () => {
    await send("/api/session", "DELETE");
    location.assign("/login");
  });
  const audit = new URLSearchParams(location.search).get("audit");
  if (audit) news.textContent = `Audit ${audit}: ${(await send(`/api/audits/${audit}`)).result}.`;
}

async function startRate(faultLost) {
  const show = async () => {
    byId("rate-fault").hidden = true;
    try {
      const { rate } = await send("/api/rate");
      byId("rate").textContent = `1 USD is ${rate.toFixed(4)} EUR`;
    } catch {
      byId("rate-fault").textContent = "The rate is not available.";
      byId("rate-fault").hidden = faultLost;
    }
  };
  byId("refresh").addEventListener("click", show);
  await show();
}

/** The end of trading in the language and the time zone of the reader, and whether it has come. */
function startSession(foreign) {
  const place = foreign ? ["en-GB", { timeZone: "UTC" }] : [navigator.language, {}];
  const close = new Date(CLOSE);
  byId("close").textContent = `Trading ends on ${close.toLocaleString(place[0], { ...place[1], dateStyle: "long", timeStyle: "short" })}.`;
  const show = () => {
    byId("state").textContent = Date.now() < close ? "Open" : "Closed";
  };
  setInterval(show, 1000);
  show();
}

const broken = await mutated();
startForm();
startImport(broken("c006"));
startPriorities(broken("c007"));
startSession(broken("c010"));
await Promise.all([startTools(broken), startRate(broken("c009")), startActivity(broken("c008"))]);
document.documentElement.dataset.ready = "true";
