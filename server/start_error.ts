/** Why a server did not start: its ports are taken or lead back to itself, its folder is not its own. */
export class StartError extends Error {
  /** One sentence for each reason. */
  readonly mistakes: readonly string[];

  /**
   * Makes an error of every reason.
   *
   * @param mistakes One sentence for each.
   */
  constructor(mistakes: readonly string[]) {
    super(`Cannot start server: ${mistakes.join("; ")}`);
    this.name = "StartError";
    this.mistakes = mistakes;
  }
}
