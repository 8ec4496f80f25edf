/** What the API did not do, and why: `code` is stable, `wait` the seconds until it is worth trying. */
export class Refusal extends Error {
  constructor(status, { code = "unknown", details = {} } = {}, wait = 0) {
    super(code);
    this.status = status;
    this.code = code;
    this.details = details;
    this.wait = wait;
  }

  /** Whether it is open what became of the request, so that it must be sent under the same key. */
  get inDoubt() {
    return this.status === 0 || this.status >= 500;
  }
}
