// Talks to the server of the desk. A reply that is an error throws an Error with words for people.

export async function send(path, method = "GET", body = null) {
  const options = { method, cache: "no-store" };
  if (body) Object.assign(options, { headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const response = await fetch(path, options);
  const data = await response.json();
  if (!response.ok) throw new Error(data.error);
  return data;
}

/** A function that reports whether a mutation is the one of this server (orchestra/demo/mutation.py). */
export async function mutated() {
  const { mutation } = await send("/config.json");
  return (id) => mutation === id;
}
