// The conversation: a list of entries and those who want to know when it changes.
//
//   { role: "user",  text }
//   { role: "reply", kind, title, text, tickers, rows, facts }

export class Conversation extends EventTarget {
  entries = [];

  /** Adds an entry, tells the listeners, and gives it back. */
  add(entry) {
    this.entries.push(entry);
    this.dispatchEvent(new CustomEvent("added", { detail: entry }));
    return entry;
  }

  /** Replaces all entries. */
  load(entries) {
    this.entries = entries;
    this.dispatchEvent(new Event("loaded"));
  }

  /** What the user asked last; empty when nothing was asked. */
  lastQuestion() {
    return this.entries.findLast((entry) => entry.role === "user")?.text ?? "";
  }
}

/** A reply of the API as an entry. */
export function replyEntry(answer) {
  return {
    role: "reply",
    kind: answer.kind,
    title: answer.title ?? "",
    text: answer.reply,
    tickers: answer.tickers,
    rows: answer.rows,
    facts: answer.facts ?? [],
  };
}
