// One message on its way: sent once, followed to its end, whatever is cut between.
import { fresh } from "./dom.js";
import { ask, Problem } from "./server.js";
import { Slots } from "./slots.js";
import { events } from "./stream.js";
import { causeOf } from "./words.js";

const LAST = ["done", "input_required", "failed"];
const MOST_TRIES = 60;

export const slots = new Slots(3);

const sleep = (seconds) => new Promise((resume) => setTimeout(resume, seconds * 1000));

export class Sending {
  turnId = null;
  isUrgent = false; // It runs or has ended, as the view says; see Slots.
  #key = fresh();
  #last = undefined;
  #abort = null;
  #isOver = false;

  /** `heard(kind, data)`: events of the turn, `sent` with the 202, and `cut` with seconds to the next try. */
  constructor(body, heard) {
    this.body = body;
    this.heard = heard;
  }

  /** Until its last event. Throws Problem where the message became no turn. */
  async run() {
    await this.#persist(() => this.#send());
    while (!this.#isOver) {
      await slots.take(this);
      try {
        await this.#persist(() => this.#follow());
      } finally {
        slots.release(this);
      }
    }
  }

  cancel() {
    return ask("DELETE", `turns/${this.turnId}`);
  }

  /** Another needs the slot more. */
  evicted() {
    this.#abort?.abort("evicted");
  }

  async #send() {
    const headers = { Prefer: "respond-async", "Idempotency-Key": this.#key };
    const document = await (await ask("POST", "chat", { body: this.body, headers })).json();
    this.turnId = document.turn_id;
    this.heard("sent", document);
    return true;
  }

  /** True when it has ended, or made room for another. */
  async #follow() {
    const abort = (this.#abort = new AbortController());
    const headers = { Accept: "text/event-stream" };
    if (this.#last) headers["Last-Event-ID"] = this.#last;
    try {
      const response = await ask("GET", `turns/${this.turnId}/events`, { headers, signal: abort.signal });
      if (response.status === 204) return (this.#isOver = true);
      for await (const { id, kind, data } of events(response)) {
        if (data === undefined || kind === "retry") continue;
        if (kind === "failed" && isKept(data)) return false;
        this.#last = id;
        this.heard(kind, data);
        if (LAST.includes(kind)) this.#isOver = true; // The server ends the stream itself.
      }
    } catch (error) {
      if (abort.signal.reason === "evicted" || this.#isOver) return true;
      throw error;
    }
    return this.#isOver;
  }

  /** Again, until `step` says true, or the server says that there is no use. */
  async #persist(step) {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      let wait_s = Math.min(10, 0.5 * 2 ** tries);
      try {
        if (await step()) return;
      } catch (error) {
        const isFault = !(error instanceof Problem || error instanceof TypeError);
        if (isFault || !mayAskAgain(error)) throw error;
        wait_s = error.retry_after_s ?? wait_s;
      }
      this.heard("cut", { wait_s });
      await sleep(wait_s);
    }
    throw new Problem({ title: "The server did not come back", outcome: "unknown" });
  }
}

/** The server shuts down, and the turn runs when it is back. */
const isKept = (problem) => causeOf(problem) === "draining" && problem.outcome === "unknown";

/** By the same key, so that no turn runs twice. What was refused is for the sender to send again. */
function mayAskAgain({ outcome = "unknown", status }) {
  return outcome === "unknown" && ![401, 404].includes(status);
}
