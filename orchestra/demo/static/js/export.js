// The conversation as JSON, CSV and Markdown, and back from JSON. Pure functions from entries to text; no clock, so that
// the same conversation is the same file.

import { money, percent, volume } from "./format.js";

const FORMAT = "market-conversation";
const MAX_ENTRIES = 5000;

/** The whole conversation as JSON; `parse` reads it back. */
export function toJson(entries, { repliesLost = false } = {}) {
  const kept = repliesLost ? entries.filter((entry) => entry.role !== "reply") : entries;
  return `${JSON.stringify({ format: FORMAT, version: 1, messages: kept }, null, 2)}\n`;
}

/** One line an entry, one more for each quote of a reply; RFC 4180 with CRLF. */
export function toCsv(entries, { unquoted = false } = {}) {
  const lines = [["entry", "role", "text", "ticker", "price", "change", "change_percent", "volume"]];
  entries.forEach((entry, index) => {
    lines.push([index + 1, entry.role, entry.text, "", "", "", "", ""]);
    for (const row of entry.rows ?? []) {
      lines.push([index + 1, "quote", row.name, row.ticker, row.price, row.change, row.change_percent, row.volume]);
    }
  });
  const cell = unquoted ? String : csvCell;
  return lines.map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

function csvCell(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A document to read; the text of people and servers is escaped. */
export function toMarkdown(entries, { tablesLost = false } = {}) {
  const parts = ["# Market Parser conversation"];
  for (const entry of entries) {
    if (entry.role === "user") {
      parts.push(`## You\n\n${quoted(entry.text)}`);
      continue;
    }
    parts.push(`## Market Parser\n\n${entry.title ? `**${escaped(entry.title)}**\n\n` : ""}${escaped(entry.text)}`);
    if (tablesLost) continue;
    if (entry.rows?.length && !entry.facts?.length) {
      const rows = entry.rows.map((row) => [row.ticker, row.name, money(row.price), percent(row.change_percent), volume(row.volume)]);
      parts.push(table(["Ticker", "Name", "Price", "Change", "Volume"], rows));
    }
    if (entry.facts?.length) parts.push(table(["Figure", "Value"], entry.facts.map((fact) => [fact.label, fact.value])));
  }
  return `${parts.join("\n\n")}\n`;
}

function table(head, rows) {
  const line = (cells) => `| ${cells.map(escaped).join(" | ")} |`;
  return [line(head), `|${head.map(() => " --- |").join("")}`, ...rows.map(line)].join("\n");
}

function quoted(text) {
  return text.split(/\r\n|\r|\n/).map((line) => `> ${escaped(line)}`.trimEnd()).join("\n");
}

function escaped(text) {
  return String(text).replace(/[\\`*_[\]<>|#~]/g, "\\$&");
}

/** The entries of an exported JSON file; throws an Error with words for people when it is none. */
export function parse(text) {
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    throw new Error("This file is not JSON.");
  }
  if (data?.format !== FORMAT || !Array.isArray(data.messages)) throw new Error("This file is not an exported conversation.");
  if (data.messages.length > MAX_ENTRIES) throw new Error(`This conversation has more than ${MAX_ENTRIES} entries.`);
  return data.messages.map(entryFrom);
}

function entryFrom(raw, index) {
  const wrong = () => new Error(`Entry ${index + 1} of this file is not part of a conversation.`);
  if (typeof raw?.text !== "string") throw wrong();
  if (raw.role === "user") return { role: "user", text: raw.text };
  if (raw.role !== "reply" || !Array.isArray(raw.rows) || !Array.isArray(raw.facts)) throw wrong();
  const rows = raw.rows.map((row) => {
    const numbers = [row?.price, row?.change, row?.change_percent, row?.volume, ...(Array.isArray(row?.history) ? row.history : [NaN])];
    if (!numbers.every(Number.isFinite)) throw wrong();
    const { price, change, change_percent, volume, history } = row;
    return { ticker: String(row.ticker), name: String(row.name), price, change, change_percent, volume, history };
  });
  const facts = raw.facts.map((fact) => ({ label: String(fact?.label), value: String(fact?.value) }));
  return {
    role: "reply",
    kind: String(raw.kind),
    title: String(raw.title ?? ""),
    text: raw.text,
    tickers: rows.map((row) => row.ticker),
    rows,
    facts,
  };
}
