// What the server's view says, kept: lines as they are, and turns of the last minute.

export const WINDOW_S = 60;
const MOST_TURNS = 4000;

export const keyOf = ({ caller = "", conversation }) => `${caller} ${conversation}`;

export class View {
  you = { caller: "", everyone: false, texts: true };
  strategy = "";
  limits = {};
  load = { waiting: 0, running: 0, fenced: 0, oldest_wait_s: 0 };
  lines = new Map(); // By keyOf, as the server tells them.
  turns = new Map(); // By id: {id, key, conversation, caller, state, accepted_at, started_at, ended_at, message}.
  figures = {}; // ended, refused, wait_s, run_s
  system; // Of all processes: {processes, slots, waiting, running, oldest_wait_s}, or null where that is not known.
  leftOut = { lines: 0, marks: 0 };
  #ahead_s = 0;

  /** Seconds since 1970 by the server's clock. */
  now() {
    return Date.now() / 1000 + this.#ahead_s;
  }

  /** Take one event in. */
  take(told) {
    if (told.now !== undefined) this.#ahead_s = told.now - Date.now() / 1000;
    if (told.whole) this.#begin(told);
    Object.assign(this.load, told.load);
    for (const name of ["ended", "refused", "wait_s", "run_s"]) {
      if (name in told) this.figures[name] = told[name];
    }
    if ("system" in told) this.system = told.system;
    if (told.left_out) this.leftOut = told.left_out;
    const marks = told.marks ?? [];
    for (const mark of marks) this.#mark(mark);
    for (const line of told.lines ?? []) this.#line(line);
    for (const idle of told.idle ?? []) this.#line({ ...idle, waiting: 0, running: 0, turns: [] });
    this.#forget();
  }

  #begin({ you, strategy, limits, agent_id, system }) {
    this.system = system; // Absent where one process serves.
    Object.assign(this, { you, strategy, limits: limits ?? {}, agent_id });
    this.lines.clear();
    this.turns.clear();
  }

  #line(line) {
    const key = keyOf(line);
    if (line.turns.length) this.lines.set(key, line);
    else this.lines.delete(key);
    const listed = new Set(line.turns.map((turn) => turn.id));
    for (const turn of this.turns.values()) {
      if (turn.key === key && !turn.ended_at && !listed.has(turn.id)) this.turns.delete(turn.id);
    }
    for (const turn of line.turns) this.#turn(turn, key, line);
  }

  #turn(told, key, { conversation, caller = "" }) {
    const known = this.turns.get(told.id);
    if (known?.ended_at) return; // It was merely late.
    const turn = { ...told, key, conversation, caller, ended_at: null };
    this.turns.set(told.id, known ? Object.assign(known, turn) : turn);
  }

  #mark(mark) {
    const known = this.turns.get(mark.id) ?? {};
    const accepted_at = mark.accepted_at ?? mark.ended_at;
    this.turns.set(mark.id, Object.assign(known, mark, { key: keyOf(mark), accepted_at }));
  }

  #forget() {
    const first = this.now() - WINDOW_S;
    let surplus = this.turns.size - MOST_TURNS;
    for (const [id, turn] of this.turns) {
      if (turn.ended_at && (turn.ended_at < first || surplus-- > 0)) this.turns.delete(id);
    }
  }
}
