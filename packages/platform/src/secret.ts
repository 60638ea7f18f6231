import { inspect } from "node:util";

const HIDDEN = "[secret]";

/**
 * A value that must not be shown. Printing, string building, JSON and `util.inspect` all give `[secret]`;
 * only {@link Secret.reveal} gives the value, so every use of a secret can be found by that name.
 */
export class Secret<T = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The value itself. Hand it straight to what needs it; do not keep it in a plain variable that may be logged. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [inspect.custom](): string {
    return HIDDEN;
  }
}
