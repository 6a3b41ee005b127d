// One message in the chat, with its place in the line, its answer, and what its agent asks.
import { el, say } from "./dom.js";
import { requestsForm } from "./requests.js";
import { Problem } from "./server.js";
import { Sending, slots } from "./sending.js";
import { about, place, problemText, seconds, stateOf } from "./words.js";

const LIVING = ["sending", "waiting", "running"];

export class Card {
  state = "sending";
  #began = 0;
  #timer = 0;
  #standing = "";

  /** `body` is what is sent, `text` its words; `told(card, words)` announces, `answer(body, text)` sends answers. */
  constructor(body, text, { told, answer }) {
    Object.assign(this, { told, answer });
    this.status = el("p", { className: "turn-status soft" }, "sending");
    this.reply = el("div", { className: "turn-answer", hidden: true });
    this.problem = el("p", { className: "turn-problem", hidden: true });
    this.button = el("button", {
      type: "button", className: "quiet cancel", hidden: true, on: { click: () => this.#cancel() },
    }, "Cancel");
    const foot = el("div", { className: "turn-foot" }, this.status, this.button);
    this.node = el("article", { className: "turn", data: { state: this.state } },
      el("p", { className: "turn-message" }, text), this.reply, this.problem, foot);
    this.sending = new Sending(body, (kind, data) => this.#heard(kind, data));
  }

  get isLiving() {
    return LIVING.includes(this.state);
  }

  async run() {
    try {
      await this.sending.run();
    } catch (error) {
      this.#failed(error instanceof Problem ? error : { title: "The page failed", detail: String(error) });
      if (!(error instanceof Problem)) console.error(error);
    }
  }

  /** What the view knows of it: {state, position, eta_s}. */
  placed({ state, position, eta_s }) {
    if (!this.isLiving) return;
    this.sending.isUrgent = state !== "waiting";
    if (state === "waiting" && this.state === "waiting") this.#wait(position, eta_s);
    if (state === "running") this.#start();
  }

  #heard(kind, data) {
    switch (kind) {
      case "sent": return this.#sent(data);
      case "queued":
      case "position": return data.position ? this.#wait(data.position, data.eta_s) : undefined;
      case "started": return this.#start(data.attempt);
      case "delta": return this.#say(data.text);
      case "tool_call": return this.#note(`calls ${data.name}`);
      case "reasoning": return this.#note("thinks");
      case "cut": return say(this.status, `no connection; trying again in ${seconds(data.wait_s)}`);
      case "done":
      case "input_required": return this.#done(data);
      case "failed": return this.#failed(data);
    }
  }

  #sent(document) {
    this.node.dataset.turnId = document.turn_id;
    if (document.state === undefined) return; // It has ended already; the stream tells how.
    this.button.hidden = false;
    if (document.position) this.#wait(document.position, document.eta_s);
    else if (document.state === "waiting") this.#wait(null, null);
    else this.#start();
  }

  #wait(position, eta_s) {
    this.#become("waiting");
    const standing = place(position, eta_s);
    say(this.status, standing);
    const short = place(position);
    if (short !== this.#standing) this.told(this, (this.#standing = short));
  }

  #start(attempt = 1) {
    if (this.state === "running" && attempt === 1) return;
    this.#become("running");
    this.told(this, "runs");
    this.reply.textContent = ""; // After a restart of the server its words come again.
    this.#began = performance.now();
    this.#tick("running");
  }

  #say(text) {
    this.reply.hidden = false;
    this.reply.append(text);
  }

  #note(what) {
    this.#tick(what);
  }

  #tick(what) {
    clearInterval(this.#timer);
    const show = () => say(this.status, `${what}, ${about((performance.now() - this.#began) / 1000)}`);
    show();
    this.#timer = setInterval(show, 500);
  }

  #done(reply) {
    const state = reply.interrupted ? "interrupted" : reply.status === "success" ? "answered" : reply.status;
    this.#become(state);
    this.reply.hidden = !reply.response;
    say(this.reply, reply.response);
    const times = `waited ${seconds(reply.waited_ms / 1000)}, ran ${seconds(reply.ran_ms / 1000)}`;
    say(this.status, state === "interrupted" ? `interrupted; ${times}` : times);
    this.told(this, state === "input_required" ? "asks you something" : `${state}: ${reply.response}`);
    if (reply.requests) this.node.append(requestsForm(reply.requests, this.answer));
  }

  #failed(problem) {
    if (problem.turn_id) this.node.dataset.turnId = problem.turn_id;
    this.#become(stateOf(problem));
    this.problem.hidden = false;
    const again = problem.retry_after_s ? ` Try again in ${about(Math.max(1, problem.retry_after_s))}.` : "";
    say(this.problem, problemText(problem) + again);
    const times = problem.status ? `${this.state}, ${problem.status}` : this.state;
    say(this.status, times);
    this.told(this, `${this.state}: ${problemText(problem)}`);
    if (problem.requests) this.node.append(requestsForm(problem.requests, this.answer));
  }

  #become(state) {
    this.state = this.node.dataset.state = state;
    clearInterval(this.#timer);
    if (!this.isLiving) this.#leave();
    this.sending.isUrgent ||= state !== "waiting" && state !== "sending";
  }

  /** There is nothing to cancel any more. */
  #leave() {
    if (document.activeElement === this.button) this.node.parentElement.focus();
    this.button.hidden = true;
  }

  async #cancel() {
    if (this.button.ariaDisabled) return;
    this.button.ariaDisabled = "true"; // It keeps the focus, which `disabled` would take away.
    try {
      await this.sending.cancel();
    } catch (error) {
      say(this.status, problemText(error));
      this.button.ariaDisabled = null;
    }
  }
}

/** Streams go to those that run. */
export const sortStreams = () => slots.sort();
