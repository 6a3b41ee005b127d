// Server-sent events over fetch: EventSource cannot send a token.
import { ask, Problem } from "./server.js";

const LONGEST_S = 30;
const SILENCE_S = 60; // The server sends a comment every 15 s, unless it is told otherwise.

/** The events of a response: `{id, kind, data}`, and `{kind: "retry", data: ms}` and `{kind: ""}` for comments. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let text = ""; ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      const whole = (text + value).split("\n\n");
      text = whole.pop();
      for (const lines of whole) yield parse(lines);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parse(lines) {
  const found = { id: undefined, kind: "", data: undefined };
  const data = [];
  for (const line of lines.split("\n")) {
    const [, field, value] = line.match(/^(\w+): ?(.*)$/) ?? [];
    if (field === "id") found.id = value;
    if (field === "event") found.kind = value;
    if (field === "data") data.push(value);
    if (field === "retry") return { kind: "retry", data: Number(value) };
  }
  if (data.length) found.data = JSON.parse(data.join("\n"));
  return found;
}

/** Follows an event stream, and comes back whenever it was cut. */
export class Stream {
  #abort = null;
  #timer = 0;
  #tries = 0;
  #first_s = 1;

  /** `heard(event)` for each event; `told(state, seconds)`: connecting, live, waiting, refused, closed. */
  constructor(path, heard, told) {
    Object.assign(this, { path, heard, told });
  }

  open() {
    this.close();
    const abort = (this.#abort = new AbortController());
    this.told("connecting");
    this.#read(abort).then(() => this.#again(abort), (error) => this.#failed(abort, error));
  }

  close() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
    this.told("closed");
  }

  async #read(abort) {
    const headers = { Accept: "text/event-stream" };
    let silence = setTimeout(() => abort.abort(), SILENCE_S * 1000);
    try {
      const response = await ask("GET", this.path, { headers, signal: abort.signal });
      for await (const event of events(response)) {
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), SILENCE_S * 1000);
        if (event.kind === "retry") this.#first_s = event.data / 1000;
        if (event.data === undefined || event.kind === "retry") continue;
        this.#tries = 0;
        this.heard(event);
        this.told("live");
      }
    } finally {
      clearTimeout(silence);
    }
  }

  #failed(abort, error) {
    if (error instanceof Problem && [401, 403, 404].includes(error.status)) {
      if (this.#abort === abort) this.told("refused", 0, error);
      return;
    }
    if (!(error instanceof Problem || error instanceof TypeError || error.name === "AbortError")) {
      console.error(error); // A fault of the page, not of the way.
    }
    this.#again(abort);
  }

  /** Twice as long each time, and never all readers at the same moment. */
  #again(abort) {
    if (this.#abort !== abort) return; // It was closed, or opened anew.
    const longest = Math.min(LONGEST_S, this.#first_s * 2 ** this.#tries++);
    const wait_s = longest * (0.5 + Math.random() / 2);
    this.told("waiting", wait_s);
    this.#timer = setTimeout(() => this.open(), wait_s * 1000);
  }
}
