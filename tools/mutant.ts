/** One small edit of the house that makes it wrong. */
export interface Mutant {
  /** What it is called in the table. */
  readonly name: string;
  /** What is wrong then. */
  readonly breaks: string;
  /** Where the edit is, in the house. */
  readonly file: string;
  /** The text that is there, exactly once. */
  readonly from: string;
  /** The text that comes in its place. */
  readonly to: string;
  /** True when it shows only where threads meet by chance: the tests of threads alone are run, several times if need be. */
  readonly races?: true;
  /** True when the tests may hang of it instead of failing, which counts only then. */
  readonly hangs?: true;
}
