/**
 * What a circuit breaker must offer to be asked the questions of this suite. An adapter translates; it adds nothing that
 * its breaker does not do by itself.
 */

/** What a circuit is doing. A breaker that knows more words for it uses the nearest. */
export type State = "closed" | "half_open" | "open";

/** What a test asks of a breaker, in words that every library has others for. */
export interface Settings {
  /** With nothing but failures it opens at this one: failures in a row, or the fewest calls that a window decides on. */
  readonly failures: number;
  /** Milliseconds from opening until a probe may pass. */
  readonly openMs: number;
  /** Errors that say nothing about the backend. */
  readonly isNeutral: (error: unknown) => boolean;
  /** The share of failures in the window that opens it. */
  readonly ratio?: number;
  /** A window of so many calls. */
  readonly countWindow?: number;
  /** A window of so many milliseconds. */
  readonly timeWindowMs?: number;
  /** A call that takes longer than this is slow. */
  readonly slowMs?: number;
  /** The share of slow calls in the window that opens it. */
  readonly slowRatio?: number;
  /** Probes that may be under way at once. 1 where nothing is said. */
  readonly probes?: number;
  /** Probes that must succeed. 1 where nothing is said. */
  readonly successes?: number;
  /** The limit on a call that never answers, by whatever means the library has. None where nothing is said. */
  readonly hungMs?: number;
  /** How many times as long the next wait is after a failed probe. */
  readonly backoff?: number;
  /** The longest wait of a backoff. */
  readonly openMaxMs?: number;
  /** While open, every so many-th call may probe. */
  readonly everyNth?: number;
}

/** What not every breaker can do. Where it cannot, a test that needs it is not applicable. */
export type Capability =
  | "abort"
  | "attach"
  | "backoff"
  | "countWindow"
  | "earlyClose"
  | "earlyReopen"
  | "everyNth"
  | "forcedClosed"
  | "fullRatio"
  | "hold"
  | "hungLimit"
  | "listeners"
  | "metricsOnly"
  | "neutral"
  | "permits"
  | "plainActions"
  | "probes"
  | "ratio"
  | "reconfigure"
  | "results"
  | "retryAfter"
  | "slowCalls"
  | "snapshot"
  | "successes"
  | "throttle"
  | "timeWindow";

/** What is guarded. It may be given a signal, and may answer at once. */
export type Action = (signal?: AbortSignal) => unknown;

/** A breaker as the suite sees it. A method is there when the adapter does not lack what it is for. */
export interface Subject {
  /** Runs `action` and settles as it does, or refuses: rejects without running it. */
  call(action: Action, signal?: AbortSignal): Promise<unknown>;
  readonly state: State;
  /** Tells each change of state (`listeners`). */
  onStateChange?(listener: (to: State) => void): void;
  /** Asks for a permit and answers what takes its result (`permits`). */
  acquire?(): ((outcome: "success" | "failure") => string) | undefined;
  /** Forces it open until the answer is called (`hold`). */
  hold?(): () => void;
  /** Lets everything pass, or ceases to (`forcedClosed`). */
  passAll?(on: boolean): void;
  /** Only watches, or acts again (`metricsOnly`). */
  watchOnly?(on: boolean): void;
  /** What it has learned, as JSON can hold it (`snapshot`). */
  snapshot?(): unknown;
  /** One like this that has learned what the snapshot says: this one, where the library does that (`snapshot`). */
  restore?(snapshot: unknown): Subject;
  /** Changes a number of the running breaker (`reconfigure`). */
  reconfigure?(settings: { readonly failures: number }): void;
  /** Another that shares its state (`attach`). */
  attach?(): Subject;
}

/** A breaker, or one variant of it, and how it is spoken to. */
export interface Adapter {
  readonly name: string;
  readonly version: string;
  /** What tells it from the others of the same library. */
  readonly variant: string;
  /** What it cannot do, and why: the reason that the report gives. */
  readonly lacks: Partial<Readonly<Record<Capability, string>>>;
  /** What a reader should know beside a failed test, by its number. */
  readonly notes: Readonly<Record<number, string>>;
  /** How it calls what the suite calls `failures` and `openMs`. */
  readonly optionNames: { readonly failures: string; readonly openMs: string };
  /** The options that its constructor takes. */
  options(settings: Settings): object;
  /** A breaker made with what `options` answered. */
  make(options: object): Subject;
  /** How long a refusal says to wait (`retryAfter`). */
  retryAfterMs?(refusal: unknown): number;
}

/** The backend failed. */
export class Failure extends Error {
  override readonly name = "Failure";
}

/** An error that says nothing about the backend. */
export class Neutral extends Error {
  override readonly name = "Neutral";
}

/** The backend asks for a pause. */
export class Throttled extends Error {
  override readonly name = "Throttled";
  readonly ms: number;

  constructor(ms: number) {
    super(`throttled for ${ms} ms`);
    this.ms = ms;
  }
}

/** A result that means failure although nothing was thrown. */
export const BAD_RESULT = { status: 503 } as const;
