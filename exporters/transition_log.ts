import { diag } from "@opentelemetry/api";
import type { CircuitBreaker, CircuitTransition } from "../core/breaker.ts";

/** Breakers whose changes are told already: one may be shared by several exporters. */
const told = new WeakSet<CircuitBreaker>();

/**
 * From now on each change of the circuit is one line of OpenTelemetry's diagnostic log, however often this is asked for.
 * Of the objects that share a circuit exactly one tells each change, so that holds over all workers too.
 */
export function logTransitions(breaker: CircuitBreaker): void {
  if (told.has(breaker)) return;
  told.add(breaker);
  breaker.onTransition(logTransition);
}

/** A warning when the backend is given up, a word when it is back. What probes do in between is for those who debug. */
function logTransition({ name, from, to, reason }: CircuitTransition): void {
  const line = `Circuit ${JSON.stringify(name)} went from ${from} to ${to}: ${reason}`;
  if (from === "closed") diag.warn(`${line}. Until it closes again nothing but probes is sent`);
  else if (to === "closed") diag.info(line);
  else diag.debug(line);
}
