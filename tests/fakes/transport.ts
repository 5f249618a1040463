import type { RequestBody, SendAnswer, SendOptions, Transport } from "../../exporters/transport/transport.ts";

/** An answer, or what makes one. What throws is a transport with a bug. */
export type ScriptedAnswer =
  | SendAnswer
  | ((body: RequestBody, options: SendOptions) => Promise<SendAnswer> | SendAnswer);

export const DELIVERED: SendAnswer = { status: "delivered", rejectedCount: 0, message: "" };

/** A transport that answers as told, one answer after the other, the last one for ever. */
export class FakeTransport implements Transport {
  readonly sends: { readonly body: RequestBody; readonly options: SendOptions }[] = [];
  closeCount = 0;
  #answers: readonly ScriptedAnswer[];

  constructor(...answers: readonly ScriptedAnswer[]) {
    this.#answers = answers.length > 0 ? answers : [DELIVERED];
  }

  send(body: RequestBody, options: SendOptions): Promise<SendAnswer> {
    this.sends.push({ body, options });
    const answer = this.#answers[Math.min(this.sends.length, this.#answers.length) - 1];
    return Promise.resolve(typeof answer === "function" ? answer(body, options) : answer);
  }

  close(): Promise<void> {
    this.closeCount++;
    return Promise.resolve();
  }
}

/** Never answers of itself; ends as a good transport does, when its caller gives up. */
export function hanging(_body: RequestBody, { abort }: SendOptions): Promise<SendAnswer> {
  const answer: SendAnswer = { status: "retryable", reason: "shutdown", message: "", answerLost: true };
  return new Promise((resolve) => abort?.addEventListener("abort", () => resolve(answer), { once: true }));
}

/** A `retryable` answer. */
export function retryable(more: Partial<SendAnswer & { status: "retryable" }> = {}): SendAnswer {
  return { status: "retryable", reason: "http_503", message: "", answerLost: false, ...more };
}

/** A `throttled` answer. */
export function throttled(retryAfterMs: number): SendAnswer {
  return { status: "throttled", retryAfterMs, wholeDestination: false, reason: "http_429", message: "" };
}
