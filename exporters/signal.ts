/** The three kinds of telemetry, by the last part of their OTLP/HTTP path. */
export type Signal = "traces" | "metrics" | "logs";

/** All signals, in the order in which they are shown. */
export const SIGNALS: readonly Signal[] = ["traces", "metrics", "logs"];

/** A value for each signal, made by `make`. */
export function bySignal<Value>(make: (signal: Signal) => Value): Readonly<Record<Signal, Value>> {
  return { traces: make("traces"), metrics: make("metrics"), logs: make("logs") };
}

/** What one item of each signal is called: the unit of the account. */
export const ITEM_NAMES: Readonly<Record<Signal, string>> = {
  traces: "spans",
  metrics: "data points",
  logs: "log records",
};

/** `1 span`, `2 spans`: items by their name in the signal. */
export function itemsText(count: number, signal: Signal): string {
  const many = ITEM_NAMES[signal];
  return `${count} ${count === 1 ? many.slice(0, -1) : many}`;
}
