/** A breaker on trial: what the tests do with it, one step at a time, and what they say when it is not as it should be. */

import {
  type Action,
  type Adapter,
  type Capability,
  Failure,
  Neutral,
  type Settings,
  type State,
  type Subject,
  Throttled,
} from "./adapter.ts";
import { type FakeTime, settle } from "./fake_time.ts";

/** Why a breaker fails a test. */
export class Fault extends Error {
  override readonly name = "Fault";
}

/** The test goes on when the condition holds; otherwise `fault` is what is wrong with the breaker. */
export function must(condition: boolean, fault: string): void {
  if (!condition) throw new Fault(fault);
}

/** What a test has when it asks for nothing else. */
export const PLAIN: Settings = { failures: 5, openMs: 1_000, isNeutral: (error) => error instanceof Neutral };

/** Stands for the value that a call did not give: `undefined` is one that it may give. */
const NO_VALUE = Symbol("no value");

/** More failures than this open every breaker, also one whose rate is diluted by what other tests ask about. */
const FAILURES_TO_OPEN_MAX = 20;

/** A call that was made: it runs until the test ends it, or it was refused, or it is kept waiting. */
export class Call {
  /** Whether what is guarded was called. */
  ran = false;
  /** How the caller's promise settled. */
  settled: { readonly value: unknown } | { readonly error: unknown } | undefined;
  #resolve: (value: unknown) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(subject: Subject, signal?: AbortSignal, action?: Action) {
    const whenEnded = new Promise<unknown>((resolve, reject) => [this.#resolve, this.#reject] = [resolve, reject]);
    whenEnded.catch(() => {});
    const promise = subject.call((given) => {
      this.ran = true;
      return action === undefined ? whenEnded : action(given);
    }, signal);
    promise.then((value) => this.settled = { value }, (error: unknown) => this.settled = { error });
  }

  /** Whether it was turned away. A call that is made to wait was not. */
  get refused(): boolean {
    return !this.ran && this.error !== undefined;
  }

  /** What the caller's promise was fulfilled with, or that it was not. */
  get value(): unknown {
    return this.settled !== undefined && "value" in this.settled ? this.settled.value : NO_VALUE;
  }

  /** What the caller's promise was rejected with. */
  get error(): unknown {
    return this.settled !== undefined && "error" in this.settled ? this.settled.error : undefined;
  }

  async succeed(value: unknown = "done"): Promise<void> {
    this.#resolve(value);
    await settle();
  }

  async fail(error: unknown = new Failure("the backend is down")): Promise<void> {
    this.#reject(error);
    await settle();
  }
}

/** A breaker with the settings of a test, and its time. */
export class Circuit {
  readonly subject: Subject;
  readonly settings: Settings;
  readonly #adapter: Adapter;
  readonly #time: FakeTime;

  constructor(adapter: Adapter, time: FakeTime, settings: Settings, subject?: Subject) {
    this.#adapter = adapter;
    this.#time = time;
    this.settings = settings;
    this.subject = subject ?? adapter.make(adapter.options(settings));
  }

  get state(): State {
    return this.subject.state;
  }

  get timerCount(): number {
    return this.#time.timerCount;
  }

  advance(ms: number): Promise<void> {
    return this.#time.advance(ms);
  }

  async stepWall(ms: number): Promise<void> {
    this.#time.stepWall(ms);
    await settle();
  }

  /** Makes a call that runs until the test ends it. */
  async begin(signal?: AbortSignal): Promise<Call> {
    const call = new Call(this.subject, signal);
    await settle();
    return call;
  }

  /** Makes so many calls at the same time. */
  async beginMany(count: number): Promise<Call[]> {
    const calls = Array.from({ length: count }, () => new Call(this.subject));
    await settle();
    return calls;
  }

  /** Makes a call with an action of its own. */
  async run(action: Action): Promise<Call> {
    const call = new Call(this.subject, undefined, action);
    await settle();
    return call;
  }

  /** So many calls one after the other that succeed, those that run. */
  async ok(times = 1): Promise<void> {
    for (let time = 0; time < times; time++) await (await this.begin()).succeed();
  }

  /** So many calls one after the other that fail, those that run. Answers how many ran. */
  async fail(times = 1, error?: unknown): Promise<number> {
    let ranCount = 0;
    for (let time = 0; time < times; time++) {
      const call = await this.begin();
      if (!call.ran) continue;
      ranCount++;
      await call.fail(error);
    }
    return ranCount;
  }

  /** So many calls one after the other that take so long and succeed. */
  async slow(ms: number, times = 1): Promise<void> {
    for (let time = 0; time < times; time++) {
      const call = await this.begin();
      await this.advance(ms);
      await call.succeed();
    }
  }

  neutral(times = 1): Promise<number> {
    return this.fail(times, new Neutral("not the backend's fault"));
  }

  throttle(ms: number): Promise<number> {
    return this.fail(1, new Throttled(ms));
  }

  /** Opens it by failures. How many it takes is the matter of other tests. */
  async open(): Promise<void> {
    for (let time = 0; time < FAILURES_TO_OPEN_MAX && this.state !== "open"; time++) await this.fail(1);
    must(this.state === "open", `${FAILURES_TO_OPEN_MAX} failures do not open it`);
  }

  /** Opens it and waits until a probe may pass. */
  async openAndWait(): Promise<void> {
    await this.open();
    await this.advance(this.settings.openMs);
  }

  /** A call that has to be let through. It is left running. */
  async passes(fault: string): Promise<Call> {
    const call = await this.begin();
    must(call.ran, fault);
    return call;
  }

  /** A call that has to be turned away at once. */
  async refuses(fault: string): Promise<void> {
    const call = await this.begin();
    must(!call.ran, fault);
    must(call.refused, `${fault}: the caller is kept waiting`);
  }

  /** Lets a probe pass and succeed, after which calls must pass again. */
  async recover(): Promise<void> {
    await (await this.passes("no probe passes when the open time is over")).succeed();
    must(this.state === "closed", "a successful probe does not close it");
  }

  /** Opens it, waits and lets a probe close it again. */
  async openAndRecover(): Promise<void> {
    await this.openAndWait();
    await this.recover();
  }

  /** One like it that has learned what the snapshot says. */
  restored(snapshot: unknown): Circuit {
    return new Circuit(this.#adapter, this.#time, this.settings, this.subject.restore!(snapshot));
  }

  /** Another that shares its state. */
  attached(): Circuit {
    return new Circuit(this.#adapter, this.#time, this.settings, this.subject.attach!());
  }
}

/** Makes a breaker with the settings of a test beside the plain ones. */
export type Start = (settings?: Partial<Settings>) => Circuit;

/** One thing that a circuit breaker should do. */
export interface Trial {
  /** 1 to 17 as in the study that the suite began with. */
  readonly number: number;
  /** What should be true. */
  readonly title: string;
  /** What a breaker must be able to do for the test to make sense. */
  readonly needs: readonly Capability[];
  /** Throws a `Fault` when it is not so. */
  run(start: Start, adapter: Adapter): Promise<void> | void;
}
