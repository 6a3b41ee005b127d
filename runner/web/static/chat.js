// The chat: a conversation, its history, and what is sent to it.
import { Card, sortStreams } from "./card.js";
import { $, el, fresh, say } from "./dom.js";
import { requestsForm } from "./requests.js";
import { json } from "./server.js";
import { problemText, seconds } from "./words.js";

const KEPT = "turnline.conversation";
const MOST_PAST = 50;
const MOST_CARDS = 200;
const FIVE = ["I feel tired.", "My work is too much.", "I dreamt of my mother.", "Can you help me?", "What did I say first?"];

let view = null;
let cards = [];
let conversation = "";

export function start(of) {
  view = of;
  const asked = new URLSearchParams(location.search).get("conversation");
  $("chat-form").addEventListener("submit", submit);
  $("message").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
  $("conversation").addEventListener("change", () => open($("conversation").value.trim()));
  $("conversation").addEventListener("focus", listConversations);
  $("new-conversation").addEventListener("click", () => {
    open(`page-${fresh(4)}`);
    $("message").focus();
  });
  $("send-five").addEventListener("click", sendFive);
  choose(asked || sessionStorage.getItem(KEPT) || `page-${fresh(4)}`);
}

/** Show another conversation: its history, and what was sent to it from here and has not ended. */
export function open(name) {
  if (!name || name === conversation) return choose(conversation);
  choose(name);
  cards = cards.filter((card) => card.isLiving);
  $("log").replaceChildren(...cards.filter(isShown).map((card) => card.node));
  return load();
}

const isShown = (card) => card.conversation === conversation;

function choose(name) {
  conversation = name;
  sessionStorage.setItem(KEPT, name);
  $("conversation").value = name;
}

/** Its history, above what was sent from here. */
export async function load() {
  const asked = conversation;
  const query = new URLSearchParams({ count: MOST_PAST, conversation_id: asked });
  let messages = [];
  let nodes;
  try {
    ({ messages } = await json("GET", `history?${query}`));
    nodes = messages.map(({ role, content }) => past(role, content));
  } catch (error) {
    nodes = [el("p", { className: "past turn-problem" }, problemText(error))];
  }
  if (asked !== conversation) return;
  $("log").querySelectorAll(".past").forEach((node) => node.remove());
  $("log").prepend(...nodes);
  if (messages.length) await ask(asked);
  down();
}

/** What its agent needs a person for, unless it was asked from here. */
async function ask(of) {
  const { requests } = await json("GET", `conversations/${encodeURIComponent(of)}`).catch(() => ({}));
  if (!requests || of !== conversation || $("log").querySelector(".requests")) return;
  const form = requestsForm(requests, answer);
  form.classList.add("past");
  $("log").append(form);
}

function answer(resume, words) {
  $("log").focus(); // The buttons that had it are done with.
  send({ resume }, words);
}

function past(role, content) {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  const name = role === "user" ? "turn-message" : "turn-answer";
  return el("p", { className: `past ${name}`, data: { role } }, text);
}

async function listConversations() {
  const { conversations } = await json("GET", "conversations").catch(() => ({ conversations: [] }));
  const names = conversations.map(({ conversation_id }) => el("option", { value: conversation_id }));
  $("conversations").replaceChildren(...names);
}

function submit(event) {
  event.preventDefault();
  const message = $("message").value;
  if (!message.trim()) return;
  $("message").value = "";
  send({ message }, message);
}

function send(content, text) {
  const card = new Card({ ...content, conversation_id: conversation }, text, {
    told: announce,
    answer,
  });
  card.conversation = conversation;
  cards.push(card);
  if (cards.length > MOST_CARDS) drop();
  $("log").append(card.node);
  down();
  const running = card.run();
  running.then(down);
  return running.then(() => card);
}

function drop() {
  const at = cards.findIndex((card) => !card.isLiving);
  if (at < 0) return;
  cards[at].node.remove();
  cards.splice(at, 1);
}

/** The newest is in view, unless the reader looks at something older. */
function down() {
  const log = $("log");
  if (log.scrollHeight - log.scrollTop - log.clientHeight < 300) log.scrollTop = log.scrollHeight;
}

/** A polite voice says one thing at a time; the newest matters. */
function announce(card, words) {
  const number = cards.filter(isShown).indexOf(card) + 1;
  if (number) say($("announcer"), `Message ${number}: ${words}`.slice(0, 300));
}

async function sendFive() {
  const began = performance.now();
  say($("hint"), "");
  const sent = await Promise.all(FIVE.map((text, at) => send({ message: `${at + 1} of 5: ${text}` }, `${at + 1} of 5: ${text}`)));
  const took_s = (performance.now() - began) / 1000;
  const isQuick = took_s < 1 && sent.every((card) => card.state === "answered");
  if (isQuick) say($("hint"), `All five were answered in ${seconds(took_s)}: too quick to see a line. The comparison below has a slower agent.`);
}

/** The view has changed: it knows places of turns that have no stream of their own. */
export function changed() {
  for (const card of cards) {
    const known = card.isLiving && view.turns.get(card.sending.turnId);
    if (known) card.placed(known);
  }
  sortStreams();
}
