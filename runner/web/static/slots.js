// Which turns have a stream of their own: a browser opens six connections to a server at most.

export class Slots {
  #held = new Set();
  #queued = [];

  constructor(most) {
    this.most = most;
  }

  /** Resolves when `holder` may open its stream; call `release` afterwards. */
  take(holder) {
    return new Promise((resolve) => {
      this.#queued.push({ holder, resolve });
      this.#next();
    });
  }

  release(holder) {
    this.#held.delete(holder);
    this.#next();
  }

  /** Holders that `isUrgent` come first; one that is not gives its slot up for them (`evicted()`). */
  sort() {
    this.#queued.sort((one, other) => other.holder.isUrgent - one.holder.isUrgent);
    const wanted = this.#queued.filter(({ holder }) => holder.isUrgent).length;
    const idle = [...this.#held].filter((holder) => !holder.isUrgent);
    for (const holder of idle.slice(0, Math.max(0, wanted - (this.most - this.#held.size)))) holder.evicted();
    this.#next();
  }

  #next() {
    while (this.#held.size < this.most && this.#queued.length) {
      const { holder, resolve } = this.#queued.shift();
      this.#held.add(holder);
      resolve();
    }
  }
}
