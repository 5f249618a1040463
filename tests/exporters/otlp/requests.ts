import type { Signal } from "../../../exporters/signal.ts";
import { field } from "../../fakes/otlp_bytes.ts";
import type { Plain } from "../../model/otlp_schema.ts";

/** A traces request of one span, given by its bytes. */
export function spanRequest(span: Uint8Array): Uint8Array<ArrayBuffer> {
  return field(1, field(2, field(2, span)));
}

/** The bytes that hexadecimal digits stand for. */
export function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (digits) => parseInt(digits, 16));
}

/** R7 in plain words, on an item as the oracle gives it. */
export function isInvalid(signal: Signal, item: Plain): boolean {
  if (signal === "metrics") return false;
  const trace = atob((item.traceId ?? "") as string);
  const span = atob((item.spanId ?? "") as string);
  const fits = (id: string, length: number) => id.length === length && /[^\0]/.test(id);
  const absentIsFine = signal === "logs";
  return !(fits(trace, 16) || (absentIsFine && trace === "")) || !(fits(span, 8) || (absentIsFine && span === ""));
}
