/** An error of the API: `code` is stable, `wait` is the number of seconds before a retry. */
export class Refusal extends Error {
  constructor(status, { code = "unknown", details = {} } = {}, wait = 0) {
    super(code);
    this.status = status;
    this.code = code;
    this.details = details;
    this.wait = wait;
  }

  /** Whether the outcome is unknown, so that a retry must use the same key. */
  get inDoubt() {
    return this.status === 0 || this.status >= 500;
  }
}
