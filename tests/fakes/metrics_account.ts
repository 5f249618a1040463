/** The account of a server as anybody can read it: added up from what `/metrics` shows, not from what the server says of it. */

import assert from "node:assert/strict";
import { SIGNALS } from "../../exporters/signal.ts";

/** `received = accepted + refused`, or `accepted = delivered + rejected + quarantined + dropped + queued`. */
export interface ShownEquation {
  /** `traces`, or `traces -> upstream`. */
  readonly name: string;
  readonly whole: number;
  /** By what they are called, reasons added up. */
  readonly parts: Readonly<Record<string, number>>;
  /** By their reasons, `dropped shutdown` for example, where there are any. */
  readonly reasons: Readonly<Record<string, number>>;
}

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Both equations of every signal, the second for each destination, from a Prometheus text. */
export function equationsOf(text: string): readonly ShownEquation[] {
  const samples = samplesOf(text);
  const equation = (name: string, whole: string, parts: readonly string[], labels: Sample["labels"]): ShownEquation => {
    const { signal } = labels;
    const mine = (metric: string) =>
      samples.filter((sample) =>
        sample.name === metric && Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
      );
    const reasons: Record<string, number> = {};
    for (const part of parts) {
      for (const { labels, value } of mine(metricOf(part))) {
        if (labels.reason !== undefined && value > 0) reasons[`${part} ${labels.reason}`] = value;
      }
    }
    return {
      name,
      whole: sum(samples.filter((sample) => sample.name === metricOf(whole) && sample.labels.signal === signal)),
      parts: Object.fromEntries(parts.map((part) => [part, sum(mine(metricOf(part)))])),
      reasons,
    };
  };
  return SIGNALS.flatMap((signal) => {
    const destinations = new Set(
      samples.filter(({ name, labels }) => name === metricOf("queued") && labels.signal === signal)
        .map(({ labels }) => labels.destination!),
    );
    return [
      equation(signal, "received", ["accepted", "refused"], { signal }),
      ...Array.from(
        destinations,
        (destination) => equation(`${signal} -> ${destination}`, "accepted", FATES, { signal, destination }),
      ),
    ];
  });
}

/** The equations of a running server, by name. Its metrics must not be limited. */
export async function accountAt(adminUrl: string): Promise<ReadonlyMap<string, ShownEquation>> {
  const response = await fetch(`${adminUrl}/metrics`);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return new Map(equationsOf(text).map((equation) => [equation.name, equation]));
}

/** Asserts that every equation holds: what stands on the left is the sum of what stands on the right. */
export function assertBalanced(equations: Iterable<ShownEquation>): void {
  const all = [...equations];
  assert.ok(all.length >= 2 * SIGNALS.length, "an equation is missing");
  for (const { name, whole, parts } of all) {
    const right = Object.values(parts).reduce((sum, part) => sum + part, 0);
    assert.equal(whole, right, `${name}: ${whole} is not ${JSON.stringify(parts)}`);
  }
}

const FATES = ["delivered", "rejected", "quarantined", "dropped", "queued"];

function metricOf(part: string): string {
  return part === "queued" ? "breakwater_queue_items" : `breakwater_items_${part}_total`;
}

function sum(samples: readonly Sample[]): number {
  return samples.reduce((sum, { value }) => sum + value, 0);
}

function samplesOf(text: string): readonly Sample[] {
  return text.split("\n").flatMap((line) => {
    const [, name, labels = "", value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) return [];
    const pairs = labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g);
    return [{
      name,
      labels: Object.fromEntries(Array.from(pairs, ([, key, text]) => [key, text])),
      value: Number(value),
    }];
  });
}
