// Which row of its conversation's lane a turn is drawn in: the staircase of those that wait.

const MOST_LANES = 8;
const MOST_ROWS = [8, 8, 8, 5, 5, 3, 3, 3, 3]; // Of each, by the number of lanes.
const GAP_S = 0.4; // Between two turns in a row, where there is room: both are to be seen.
const SIGN_S = 1.2; // After one that ended with a sign, which takes this much width.

class Lane {
  #free = []; // By row: when its last turn ended; Infinity while one lives there, -Infinity at first.
  #last = []; // By row: that turn.
  #most = 0;

  constructor(conversation, caller) {
    Object.assign(this, { conversation, caller, turns: [] });
  }

  get rows() {
    return Math.max(1, ...this.turns.map((turn) => (turn.row ?? -1) + 1));
  }

  /** Give rows to those that have none. What waits where no row is free is drawn when it runs. */
  place(most) {
    if (most !== this.#most) this.#begin(most);
    this.#last.forEach((turn, row) => {
      if (turn.ended_at) this.#free[row] = turn.ended_at;
      else if (!this.turns.includes(turn)) this.#free[row] = -Infinity;
    });
    for (const turn of this.turns) {
      if (turn.row === undefined) this.#seat(turn);
    }
  }

  #begin(most) {
    this.#most = most;
    this.#free = [];
    this.#last = [];
    for (const turn of this.turns) turn.row = undefined;
  }

  #seat(turn) {
    for (const from of [turn.accepted_at, turn.started_at]) {
      if (from === null || from === undefined) continue;
      const row = this.#rowFrom(from);
      if (row === null) continue;
      Object.assign(turn, { row, from });
      this.#free[row] = turn.ended_at ?? Infinity;
      this.#last[row] = turn;
      return;
    }
  }

  /** The first that is free by then, with a gap; else the one that was free first, if any is. */
  #rowFrom(from) {
    let best = null;
    for (let row = 0; row < this.#most; row++) {
      const free = this.#free[row] ?? -Infinity;
      const gap = this.#last[row]?.state === "answered" ? GAP_S : SIGN_S;
      if (free + gap <= from) return row;
      if (free <= from && (best === null || free < this.#free[best])) best = row;
    }
    return best;
  }
}

/** The lanes of a view, in the order in which conversations came. */
export class Lanes {
  #all = new Map();

  /** Those that are shown, with turns that live before others, and how many are not. */
  of(view) {
    for (const lane of this.#all.values()) lane.turns = [];
    for (const turn of view.turns.values()) this.#lane(turn).turns.push(turn);
    for (const [key, lane] of this.#all) if (!lane.turns.length) this.#all.delete(key);
    const lanes = [...this.#all.values()];
    const order = (lane) => (lane.turns.some((turn) => !turn.ended_at) ? 0 : 1);
    const first = new Set([...lanes].sort((one, other) => order(one) - order(other)).slice(0, MOST_LANES));
    const shown = lanes.filter((lane) => first.has(lane));
    for (const lane of shown) {
      lane.turns.sort((one, other) => one.accepted_at - other.accepted_at);
      lane.place(MOST_ROWS[shown.length]);
    }
    return { shown, hidden: lanes.length - shown.length };
  }

  #lane({ key, conversation, caller }) {
    if (!this.#all.has(key)) this.#all.set(key, new Lane(conversation, caller));
    return this.#all.get(key);
  }
}
