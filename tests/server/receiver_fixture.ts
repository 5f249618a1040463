import type { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import type { Journal, JournalEntry } from "../../exporters/journal/journal.ts";
import { MemoryJournal } from "../../exporters/journal/memory_journal.ts";
import { requestFromJson } from "../../exporters/otlp/json.ts";
import type { CountByReason } from "../../exporters/reason.ts";
import { bySignal, type Signal } from "../../exporters/signal.ts";
import { Account } from "../../server/account.ts";
import { IngestBudget } from "../../server/ingest_budget.ts";
import { OtlpHttpReceiver, type OtlpHttpReceiverOptions } from "../../server/receive_http.ts";
import { FakeClock } from "../fakes/clock.ts";

export const PROTOBUF = "application/x-protobuf";
export const JSON_TYPE = "application/json";

/** What is different about one receiver. */
export interface FixtureOptions extends Partial<OtlpHttpReceiverOptions> {
  readonly itemsMax?: number;
  readonly queueBytesMax?: number;
  readonly budgetBytesMax?: number;
}

/** A receiver that listens, with everything behind it. */
export class Receiving implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly journals: Readonly<Record<Signal, Journal>>;
  readonly account: Account;
  readonly budget: IngestBudget;
  readonly receiver: OtlpHttpReceiver;

  private constructor({ itemsMax, queueBytesMax, budgetBytesMax, ...options }: FixtureOptions) {
    this.journals = bySignal((signal) => new MemoryJournal(signal, { itemsMax, bytesMax: queueBytesMax }));
    for (const journal of Object.values(this.journals)) journal.cursor("backend", "reject");
    this.account = new Account(Object.values(this.journals));
    this.budget = new IngestBudget({ bytesMax: budgetBytesMax });
    this.receiver = new OtlpHttpReceiver({
      journals: this.journals,
      receipts: this.account,
      budget: this.budget,
      hopId: "our-own-id",
      clock: this.clock,
      sleep: this.clock.sleep,
      ...options,
    });
  }

  static async start(options: FixtureOptions = {}): Promise<Receiving> {
    const receiving = new Receiving(options);
    await receiving.receiver.listen({ hostname: "127.0.0.1", port: 0 });
    return receiving;
  }

  post(path: string, body?: BodyInit | Uint8Array, headers: Record<string, string> = {}): Promise<Response> {
    const type = { "content-type": PROTOBUF };
    return fetch(this.receiver.url + path, {
      method: "POST",
      body: body as BodyInit,
      headers: { ...type, ...headers },
    });
  }

  /** What waits for the backend. */
  take(signal: Signal): readonly JournalEntry[] {
    const all = { recordCountMax: Infinity, itemCountMax: Infinity, bytesMax: Infinity };
    return this.journals[signal].cursor("backend", "reject").take(all);
  }

  /** The account of one signal: what came in, and what of it was taken and refused. */
  counts(signal: Signal): { received: number; accepted: number; refused: Readonly<CountByReason> } {
    const { received, accepted, refused } = this.account.balance().signals.find((one) => one.signal === signal)!;
    return { received, accepted, refused };
  }

  /** Writes bytes into a connection of its own, and gives back all that comes until the other side closes it. */
  async converse(...parts: readonly (string | Uint8Array)[]): Promise<string> {
    const socket = this.connect();
    let answer = "";
    socket.on("data", (piece) => answer += (piece as Buffer).toString("latin1"));
    for (const part of parts) socket.write(part);
    await new Promise((resolve) => socket.on("close", resolve));
    return answer;
  }

  /** A connection, for requests that no client would make. */
  connect(): Socket {
    const { hostname, port } = this.receiver.address!;
    return connect(port, hostname).on("error", () => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.receiver.close();
    for (const journal of Object.values(this.journals)) await journal.close();
  }
}

/** A span whose trace id ends in `index`. */
export function span(index: number, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const hex = (index + 1).toString(16);
  return { traceId: hex.padStart(32, "0"), spanId: hex.padStart(16, "0"), name: `span ${index}`, ...changes };
}

/** An OTLP/JSON request of traces. */
export function tracesJson(spans: readonly unknown[]): string {
  return JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
}

/** An OTLP protobuf request of good spans. */
export function traces(count: number): Uint8Array<ArrayBuffer> {
  return tracesOf(Array.from({ length: count }, (_, index) => span(index)));
}

export function tracesOf(spans: readonly unknown[]): Uint8Array<ArrayBuffer> {
  return requestFromJson(tracesJson(spans), "traces");
}

/** Waits, turn by turn of the event loop, until something is so. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) {
    if (isSo()) return;
    await new Promise<void>((resolve) => setTimeout(resolve, 1));
  }
  throw new Error("waited in vain");
}
