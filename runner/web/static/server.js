// Requests to this server. Addresses are relative, so that the page works behind a prefix.
import { token } from "./token.js";

/** What the server refused, or how it failed: has the members of the problem document. */
export class Problem extends Error {
  constructor(document) {
    super(document.title);
    Object.assign(this, document);
  }
}

/** A response that succeeded. Throws Problem, and TypeError where no server answered. */
export async function ask(method, path, { body, headers = {}, signal } = {}) {
  for (;;) {
    const { value: used, putOff } = token;
    const response = await fetch(path, {
      method,
      headers: withToken(used, body === undefined ? headers : { ...headers, "Content-Type": "application/json" }),
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
    });
    if (response.ok) return response;
    const problem = await problemOf(response);
    // One that was under way when the reader put the question off does not ask again.
    if (response.status !== 401 || putOff !== token.putOff) throw problem;
    const why = used ? "The server does not know this token." : "";
    if (used === token.value && !(await token.ask(why))) throw problem;
  }
}

/** The JSON document that a request is answered with. */
export const json = async (...request) => (await ask(...request)).json();

function withToken(value, headers) {
  return value ? { ...headers, Authorization: `Bearer ${value}` } : headers;
}

async function problemOf(response) {
  const { status, statusText } = response;
  const document = await response.json().catch(() => ({}));
  return new Problem({ status, title: statusText || `The server answered ${status}`, detail: "", ...document });
}
