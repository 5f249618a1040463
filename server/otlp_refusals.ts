import { encodeStatus } from "../exporters/otlp/status.ts";
import type { Reason } from "../exporters/reason.ts";
import type { DecodedRequest } from "./decode_request.ts";
import type { DecodeAnswer } from "./decode_worker.ts";
import type { HttpRefusal } from "./otlp_head.ts";

type Encoding = HttpRefusal["encoding"];

/** The codes of google.rpc.Code that say what our HTTP statuses say. */
const RPC_CODES: Readonly<Record<HttpRefusal["status"], number>> = {
  400: 3,
  401: 16,
  404: 5,
  405: 12,
  408: 4,
  413: 3,
  415: 3,
  417: 3,
  500: 13,
  503: 14,
};

const OVERLOAD = "The server has no room for the request now.";
const OVERLOADS: Readonly<Partial<Record<Reason, string>>> = {
  memory_full: "Too many requests are being received now.",
  queue_full: "The queue is full.",
  journal_full: "The disk takes nothing now: it is full, or fails.",
  shutdown: "The server is shutting down.",
};

/** Why requests are refused whose head is in order, in the words that their senders are told. */
export class OtlpRefusals {
  readonly #bodyBytesMax: number;
  readonly #retryAfterMs: number;

  constructor(
    { bodyBytesMax, retryAfterMs }: { readonly bodyBytesMax: number; readonly retryAfterMs: number },
  ) {
    this.#bodyBytesMax = bodyBytesMax;
    this.#retryAfterMs = retryAfterMs;
  }

  tooLarge(encoding: Encoding): HttpRefusal {
    const message = `The body must be at most ${this.#bodyBytesMax} bytes, also when inflated.`;
    return { status: 413, message, encoding };
  }

  /** For a reason that may pass: the sender is told when to come again. */
  overloaded(encoding: Encoding, reason: Reason = "memory_full"): HttpRefusal {
    const retryAfter = `${Math.ceil(this.#retryAfterMs / 1000)}`;
    return { status: 503, message: OVERLOADS[reason] ?? OVERLOAD, encoding, headers: { "retry-after": retryAfter } };
  }

  /** What the journal did not take. */
  notKept(encoding: Encoding, reason: Reason): HttpRefusal {
    if (reason !== "too_large") return this.overloaded(encoding, reason);
    return { status: 413, message: "The request is larger than the whole queue. Send less at once.", encoding };
  }

  notDecoded(encoding: Encoding, answer: Exclude<DecodeAnswer, DecodedRequest>): HttpRefusal {
    if (answer.outcome === "too_large") return this.tooLarge(encoding);
    if (answer.outcome === "too_heavy") return { status: 413, message: answer.message, encoding };
    if (answer.outcome === "malformed") return { status: 400, message: answer.message, encoding };
    return { ...this.overloaded(encoding), message: answer.message };
  }
}

/** The body of a refusal: a google.rpc.Status, in the encoding of the request. */
export function refusalBody({ status, message, encoding }: HttpRefusal): Uint8Array {
  const violations = status === 400 ? [message] : undefined;
  return encodeStatus(encoding, { code: RPC_CODES[status], message, violations });
}
