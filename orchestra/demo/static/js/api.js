// Talks to the API server. Every failure is an Error with words for people.

const TIMEOUT_MS = 20_000;

export class Api {
  constructor(base) {
    this.base = base;
  }

  health() {
    return this.#request("/health");
  }

  market() {
    return this.#request("/api/market");
  }

  /** Asks a question; `attempt` counts from 1, so that the server can tell a retry. */
  ask(message, attempt) {
    return this.#request("/api/ask", { message, attempt });
  }

  analyze(kind, ticker) {
    return this.#request("/api/analyze", { kind, ticker });
  }

  async #request(path, body) {
    const options = { signal: AbortSignal.timeout(TIMEOUT_MS), credentials: "omit", cache: "no-store" };
    if (body) Object.assign(options, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    let response;
    let data;
    try {
      response = await fetch(this.base + path, options);
      data = await response.json();
    } catch (error) {
      if (error.name === "TimeoutError") throw new Error("The market service did not answer in time.");
      if (response && !response.ok) throw new Error(`The market service failed (status ${response.status}).`);
      throw new Error("The market service cannot be reached.");
    }
    if (!response.ok) throw new Error(data.error || `The market service failed (status ${response.status}).`);
    return data;
  }
}
