const HIDDEN = "[secret]";

/** A value that no log, no error and no JSON shows: it must be asked for by `reveal()`. */
export class Secret<Value> {
  readonly #value: Value;

  /**
   * Keeps a value.
   *
   * @param value What only `reveal()` gives back.
   */
  constructor(value: Value) {
    this.#value = value;
  }

  /** The value itself, for the one place that needs it. */
  reveal(): Value {
    return this.#value;
  }

  /** Hides the value in template strings and in `String(…)`. */
  toString(): string {
    return HIDDEN;
  }

  /** Hides the value in `JSON.stringify(…)`. */
  toJSON(): string {
    return HIDDEN;
  }

  /** Hides the value in `console.log(…)` and in `node:util`'s `inspect(…)`. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return HIDDEN;
  }
}
