// What figures and states are called.

const STRATEGIES = {
  queue: "A message that finds its conversation busy waits in line. Each has a place and an expected start, and each is answered, in order.",
  lock: "A message that finds its conversation busy waits for the lock. Each is answered, in order, but nobody knows a place in the line.",
  reject: "A message that finds its conversation busy is refused at once, with 409; its sender has to try again.",
  interrupt: "A new message stops the turn that runs in its conversation and takes its place; the newest is answered.",
  merge: "Messages that come while the conversation is busy wait together, run as one turn, and share its reply.",
};

/** What the strategy does, in a sentence or two. */
export function strategySentence(name) {
  return STRATEGIES[name] ?? "It decides what a message does that finds its conversation busy.";
}

/** Seconds as a reader says them: 0.04 s, 3.2 s, 48 s, 3 min 20 s. */
export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.005) return "0 s";
  if (value < 0.995) return `${value.toFixed(2)} s`;
  if (value < 9.95) return `${value.toFixed(1)} s`;
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${(value / 3600).toFixed(1)} h`;
}

/** Whole seconds, for what is not known better, and for ages: their text changes once a second. */
export function about(value) {
  return value < 89.5 ? `${Math.max(0, Math.round(value))} s` : seconds(value);
}

/** `about 3 s`; what starts at once is said to start within a second. */
export const expected = (eta_s) => `about ${about(Math.max(1, eta_s))}`;

export function ordinal(number) {
  const tens = number % 100;
  const ending = tens > 10 && tens < 14 ? "th" : { 1: "st", 2: "nd", 3: "rd" }[number % 10] ?? "th";
  return `${number}${ending}`;
}

/** `2nd in line, about 3 s`. */
export function place(position, eta_s) {
  const where = position ? `${ordinal(position)} in line` : "waits";
  return eta_s ? `${where}, ${expected(eta_s)}` : where;
}

/** `1 runs`, `4 wait`; nothing for none. */
export function counts(running, waiting) {
  const said = [];
  if (running) said.push(running === 1 ? "1 runs" : `${running} run`);
  if (waiting) said.push(waiting === 1 ? "1 waits" : `${waiting.toLocaleString("en")} wait`);
  return said.join(" · ");
}

export function many(number, one, more = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : more}`;
}

/** The problem for a person; many a detail begins with its title. */
export function problemText({ title = "Failed", detail = "" }) {
  return detail.startsWith(title) ? detail : `${title}. ${detail}`.trim();
}

/** The last part of a problem's type: `conversation-busy`. */
export const causeOf = ({ type = "" }) => type.split(":").at(-1);

/** The state in which a turn is that ended with this problem. */
export function stateOf(problem) {
  const cause = causeOf(problem);
  const ended = { "turn-cancelled": "cancelled", "turn-interrupted": "interrupted", "wait-expired": "expired" };
  if (ended[cause]) return ended[cause];
  return problem.outcome === "not_started" ? "refused" : "failed";
}
