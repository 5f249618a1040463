import { type CountByReason, type Reason, total } from "../../exporters/reason.ts";
import { type Signal, SIGNALS } from "../../exporters/signal.ts";
import type { DestinationBalance, SignalBalance } from "../account.ts";
import { CliFailure, type CliIo, EXIT } from "./io.ts";

/** A metrics page of ours has some 100 KiB. */
const PAGE_BYTES_MAX = 2 ** 24;
const PAGE_MS_MAX = 10_000;

/** One series of a page. */
interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * The account of a running server, from its metrics. In motion it may be out by what is in flight.
 *
 * @throws {CliFailure} When there is no page, or it is none of Breakwater's.
 */
export async function balancesFrom(url: string, io: CliIo): Promise<readonly SignalBalance[]> {
  const page = URL.parse("/metrics", url);
  if (page === null || !/^https?:$/.test(page.protocol)) {
    throw new CliFailure("--url must be the address of the admin listener, such as http://127.0.0.1:9464", EXIT.usage);
  }
  const samples = samplesOf(await pageAt(page, io));
  if (!samples.some(({ name }) => name === "breakwater_items_accepted_total")) {
    throw new CliFailure(
      `${page.host} shows no account of Breakwater: --url takes the address after admin= in its ready line`,
    );
  }
  return SIGNALS.map((signal) => signalBalance(signal, samples.filter(({ labels }) => labels.signal === signal)));
}

async function pageAt(page: URL, { fetch }: CliIo): Promise<string> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(page, { redirect: "manual", signal: AbortSignal.timeout(PAGE_MS_MAX) });
    text = await response.text();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliFailure(`Cannot read ${page.host}: ${why}; is the server running, and is this its admin listener?`);
  }
  if (response.status === 429) {
    const wait = response.headers.get("retry-after") ?? "60";
    throw new CliFailure(`${page.host} is asked for its metrics too often: try again in ${wait} s`);
  }
  if (response.status === 200 && text.length <= PAGE_BYTES_MAX) return text;
  throw new CliFailure(`${page.host} answers ${response.status} to /metrics: is this the admin listener?`);
}

/** The series of a page in Prometheus' text format. */
function samplesOf(text: string): readonly Sample[] {
  return text.split("\n").flatMap((line) => {
    const [, name, labelText = "", value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) return [];
    const labels: Record<string, string> = {};
    for (const [, label, text] of labelText.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[label] = text.replace(/\\(.)/g, (_, escaped) => escaped === "n" ? "\n" : escaped);
    }
    return [{ name, labels, value: Number(value) }];
  });
}

function signalBalance(signal: Signal, samples: readonly Sample[]): SignalBalance {
  const received = sum(samples, "breakwater_items_received_total");
  const accepted = sum(samples, "breakwater_items_accepted_total");
  const refused = byReason(samples, "breakwater_items_refused_total");
  const names = new Set(samples.flatMap(({ labels }) => labels.destination ?? []));
  const destinations = [...names].map((name) =>
    destinationBalance(name, accepted, samples.filter(({ labels }) => labels.destination === name))
  );
  return { signal, received, accepted, refused, balanced: received === accepted + total(refused), destinations };
}

function destinationBalance(destination: string, accepted: number, samples: readonly Sample[]): DestinationBalance {
  const delivered = sum(samples, "breakwater_items_delivered_total");
  const rejected = byReason(samples, "breakwater_items_rejected_total");
  const quarantined = sum(samples, "breakwater_items_quarantined_total");
  const dropped = byReason(samples, "breakwater_items_dropped_total");
  const queued = sum(samples, "breakwater_queue_items");
  return {
    destination,
    delivered,
    rejected,
    quarantined,
    dropped,
    redelivered: sum(samples, "breakwater_items_redelivered_total"),
    queued,
    queuedBytes: sum(samples, "breakwater_queue_bytes"),
    isDurable: false, // The page does not say.
    balanced: accepted === delivered + total(rejected) + quarantined + total(dropped) + queued,
  };
}

function sum(samples: readonly Sample[], metric: string): number {
  return samples.reduce((all, { name, value }) => name === metric ? all + value : all, 0);
}

function byReason(samples: readonly Sample[], metric: string): CountByReason {
  const counts: CountByReason = {};
  for (const { name, labels, value } of samples) {
    const reason = labels.reason as Reason | undefined;
    if (name === metric && reason !== undefined && value > 0) counts[reason] = (counts[reason] ?? 0) + value;
  }
  return counts;
}
