/** Random programs for a circuit breaker: what happens to it, step by step. Sizes and times are small, so that much happens. */

import fc from "fast-check";
import type { Outcome } from "../../core/breaker.ts";
import type { CircuitMode } from "../../core/breaker_modes.ts";
import type { CircuitBreakerNumbers, CircuitBreakerOptions } from "../../core/breaker_options.ts";

/** One step. Calls, attachments, holds and snapshots are chosen by a number, modulo how many there are. */
export type Step =
  | { readonly does: "acquire"; readonly by: number }
  | { readonly does: "record"; readonly by: number; readonly call: number; readonly outcome: Outcome }
  | { readonly does: "call"; readonly by: number; readonly outcome: Outcome; readonly tookMs: number }
  | { readonly does: "wait"; readonly ms: number }
  | { readonly does: "attach" }
  | { readonly does: "detach"; readonly by: number }
  | { readonly does: "mode"; readonly by: number; readonly mode: CircuitMode }
  | { readonly does: "hold"; readonly by: number }
  | { readonly does: "release"; readonly hold: number }
  | { readonly does: "reconfigure"; readonly by: number; readonly changes: CircuitBreakerNumbers }
  | { readonly does: "snapshot"; readonly by: number }
  | { readonly does: "restore"; readonly by: number; readonly snapshot: number }
  | { readonly does: "restart" };

/** Programs take few attachments, so that these meet. */
export const ATTACHMENTS_MAX = 4;

/** The recent calls that a program records; older ones are recorded too, now and then. */
const RECENT_CALLS = 6;

const by = fc.nat({ max: ATTACHMENTS_MAX - 1 });
const some = fc.nat({ max: 7 });
const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Outcome>("failure") },
  { weight: 8, arbitrary: fc.constant<Outcome>("success") },
  { weight: 2, arbitrary: fc.constant<Outcome>("ignored") },
  { weight: 1, arbitrary: fc.record({ throttledMs: fc.oneof(fc.nat({ max: 300 }), fc.double({ min: -1, max: 99 })) }) },
);
const tookMs = fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 25 }) });
const waitMs = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 20 }) },
  { weight: 3, arbitrary: fc.nat({ max: 200 }) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 3, noNaN: true }) },
);
const mode = fc.constantFrom<CircuitMode>(
  "auto",
  "auto",
  "auto",
  "metrics_only",
  "forced_closed",
  "disabled",
  "forced_open",
);

/** Numbers that are right by themselves; together they may contradict each other. */
const numbers = {
  failureThreshold: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 5, max: 4095 })),
  successThreshold: fc.integer({ min: 1, max: 4 }),
  probeEveryNth: fc.nat({ max: 5 }),
  cooldownMs: fc.integer({ min: 1, max: 60 }),
  cooldownBackoff: fc.oneof(fc.constant(1), fc.double({ min: 1, max: 3, noNaN: true })),
  cooldownMaxMs: fc.integer({ min: 60, max: 300 }),
  cooldownJitter: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })),
  probeConcurrency: fc.integer({ min: 1, max: 3 }),
  probeLeaseMs: fc.integer({ min: 1, max: 50 }),
  throttleMaxMs: fc.integer({ min: 1, max: 200 }),
};
const windowNumbers = {
  countWindowSize: fc.integer({ min: 1, max: 8 }),
  timeWindowMs: fc.integer({ min: 10, max: 300 }),
  failureRatio: fc.constantFrom(0.3, 0.5, 2 / 3, 1),
  slowCallMs: fc.integer({ min: 1, max: 30 }),
  slowCallRatio: fc.constantFrom(0.25, 0.5, 1),
  minimumCalls: fc.integer({ min: 1, max: 8 }),
};

/** What a circuit is made with: never a contradiction, and most of the options given. */
export const options: fc.Arbitrary<CircuitBreakerOptions> = fc.record({
  ...numbers,
  seed: fc.nat({ max: 0xffff_ffff }),
  mode: fc.oneof({ weight: 9, arbitrary: fc.constant("auto" as const) }, { weight: 1, arbitrary: mode }),
  windows: fc.record(windowNumbers, { requiredKeys: [] }),
}).map(({ windows: { slowCallRatio, minimumCalls, ...windows }, ...rest }) => ({
  ...rest,
  ...windows,
  ...(slowCallRatio === undefined || windows.slowCallMs === undefined ? {} : { slowCallRatio }),
  ...(minimumCalls === undefined ? {} : { minimumCalls: Math.min(minimumCalls, windows.countWindowSize ?? 8) }),
}));

/** What a circuit is told to change, one number or a few: some contradict what it has, and are refused. */
const changes: fc.Arbitrary<CircuitBreakerNumbers> = fc.array(
  fc.oneof(
    ...Object.entries<fc.Arbitrary<number>>({ ...numbers, ...windowNumbers }).map(([name, value]) =>
      fc.option(value, { nil: undefined, freq: 4 }).map((changed) => ({ [name]: changed }))
    ),
  ),
  { minLength: 1, maxLength: 3, size: "max" },
).map((some) => Object.assign({}, ...some));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 30, arbitrary: fc.record({ does: fc.constant("acquire" as const), by }) },
  { weight: 50, arbitrary: fc.record({ does: fc.constant("call" as const), by, outcome, tookMs }) },
  {
    weight: 35,
    arbitrary: fc.record({ does: fc.constant("record" as const), by, call: fc.nat({ max: RECENT_CALLS }), outcome }),
  },
  { weight: 5, arbitrary: fc.record({ does: fc.constant("record" as const), by, call: fc.nat(), outcome }) },
  { weight: 35, arbitrary: fc.record({ does: fc.constant("wait" as const), ms: waitMs }) },
  { weight: 4, arbitrary: fc.constant({ does: "attach" as const }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("detach" as const), by }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("mode" as const), by, mode }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("hold" as const), by }) },
  { weight: 8, arbitrary: fc.record({ does: fc.constant("release" as const), hold: some }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("reconfigure" as const), by, changes }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("snapshot" as const), by }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("restore" as const), by, snapshot: some }) },
  { weight: 1, arbitrary: fc.constant({ does: "restart" as const }) },
);

/** Long programs: short ones hardly leave the closed state. */
export const program: fc.Arbitrary<readonly Step[]> = fc.array(step, { minLength: 1, maxLength: 400, size: "max" });
