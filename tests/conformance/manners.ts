/** How a breaker treats those who use it. */

import { type Adapter, Failure, type State } from "./adapter.ts";
import { type Call, must, PLAIN, type Trial } from "./circuit.ts";

export const MANNERS: readonly Trial[] = [
  {
    number: 45,
    title: "Listeners are told each change of state once, in order",
    needs: ["listeners"],
    async run(start) {
      const circuit = start();
      const told: State[] = [];
      circuit.subject.onStateChange!((to) => told.push(to));
      await circuit.openAndRecover();
      must(told.join() === "open,half_open,closed", `they are told ${told.join(", ") || "nothing"}`);
    },
  },
  {
    number: 46,
    title: "A listener that throws changes neither the circuit nor the call",
    needs: ["listeners"],
    async run(start) {
      const circuit = start();
      circuit.subject.onStateChange!(() => {
        throw new Error("of the listener");
      });
      const failure = new Failure("of the call");
      let call: Call | undefined;
      for (let time = 0; time < 5; time++) await (call = await circuit.begin()).fail(failure);
      must(call!.settled !== undefined, "the caller of the call that opens it is left waiting");
      must(call!.error === failure, "the caller of the call that opens it gets the listener's error");
      must(circuit.state === "open", "it does not open");
      await circuit.advance(circuit.settings.openMs);
      const probe = await circuit.passes("no probe passes when the open time is over");
      await probe.succeed();
      must(probe.value === "done", "the caller of the probe does not get its result");
      must(circuit.state === "closed", "it does not close");
    },
  },
  {
    number: 47,
    title: "Reading the state changes nothing",
    needs: [],
    async run(start) {
      const circuit = start();
      await circuit.open();
      await circuit.advance(3 * circuit.settings.openMs);
      const told: State[] = [];
      circuit.subject.onStateChange?.((to) => told.push(to));
      const read = Array.from({ length: 5 }, () => circuit.state);
      must(new Set(read).size === 1, `it reads ${[...new Set(read)].join(", then ")}`);
      must(told.length === 0, `listeners are told ${told.join(", ")} while it is read`);
      await circuit.recover();
    },
  },
  {
    number: 48,
    title: "The caller's options object stays as it was",
    needs: [],
    async run(start, adapter) {
      const options = adapter.options(PLAIN);
      const before: Record<string, unknown> = { ...options };
      adapter.make(options);
      await start().openAndRecover();
      const added = Object.keys(options).filter((key) => !(key in before));
      must(added.length === 0, `${added.length} keys are added to it`);
      const changed = Object.entries(options).filter(([key, value]) => !Object.is(value, before[key]));
      must(changed.length === 0, `${changed.map(([key]) => key).join(", ")} is changed in it`);
    },
  },
  {
    number: 49,
    title: "Numbers that make no sense are refused at once, by the option's name",
    needs: [],
    run(_start, adapter) {
      const faults = (["failures", "openMs"] as const).flatMap((setting) =>
        [NaN, -1].flatMap((value) => faultOf(adapter, setting, value) ?? [])
      );
      must(faults.length === 0, faults.join(", "));
    },
  },
  {
    number: 50,
    title: "The call's own result and its own error reach the caller",
    needs: [],
    async run(start) {
      const circuit = start();
      const result = { of: "the call" };
      must((await circuit.run(() => Promise.resolve(result))).value === result, "the caller does not get the result");
      const error = new Failure("of the call");
      must((await circuit.run(() => Promise.reject(error))).error === error, "the caller does not get the error");
    },
  },
  {
    number: 51,
    title: "A call that throws before it returns a promise is a failure like others",
    needs: ["plainActions"],
    async run(start) {
      const circuit = start();
      const error = new Failure("thrown at once");
      for (let time = 0; time < 5; time++) {
        const call = await circuit.run(() => {
          throw error;
        });
        must(call.error === error, "the caller does not get the error");
      }
      must(circuit.state === "open", "5 of them leave it closed");
    },
  },
  {
    number: 52,
    title: "A call that returns nothing, and no promise, is a success",
    needs: ["plainActions"],
    async run(start) {
      const circuit = start();
      for (let time = 0; time < 10; time++) {
        const call = await circuit.run(() => undefined);
        must(call.value === undefined, `the caller gets ${String(call.error)}`);
      }
      must(circuit.state === "closed", "10 of them open it");
    },
  },
  {
    number: 54,
    title: "An error filter that throws changes neither the circuit nor the call",
    needs: ["neutral"],
    async run(start) {
      const circuit = start({
        isNeutral: () => {
          throw new Error("of the filter");
        },
      });
      for (let time = 0; time < 5; time++) {
        const failure = new Failure("of the call");
        const call = await circuit.begin();
        await call.fail(failure);
        must(call.settled !== undefined, "the caller is left waiting");
        must(call.error === failure, "the caller gets the filter's error");
      }
      must(circuit.state === "open", "5 failures leave it closed");
    },
  },
  {
    number: 55,
    title: "Calls that their callers abort say nothing about the backend",
    needs: ["abort"],
    async run(start) {
      const circuit = start();
      for (let time = 0; time < 10; time++) {
        const caller = new AbortController();
        const call = await circuit.begin(caller.signal);
        caller.abort();
        await call.fail(caller.signal.reason);
        must(circuit.state === "closed", `aborted call ${time + 1} opens it`);
      }
    },
  },
  {
    number: 56,
    title: "A refusal says how long to wait",
    needs: ["retryAfter"],
    async run(start, adapter) {
      const circuit = start();
      await circuit.open();
      await circuit.advance(400);
      const call = await circuit.begin();
      must(call.refused, "a call passes 600 ms early");
      const ms = adapter.retryAfterMs!(call.error);
      must(ms === 600, `it says ${ms} ms where 600 are left`);
    },
  },
];

/** What is wrong with how a number is taken, if anything. */
function faultOf(adapter: Adapter, setting: "failures" | "openMs", value: number): string | undefined {
  const name = adapter.optionNames[setting];
  try {
    adapter.make(adapter.options({ ...PLAIN, [setting]: value }));
    return `it takes ${name} ${value}`;
  } catch (error) {
    if (error instanceof Error && error.message.includes(name)) return undefined;
    return `it refuses ${name} ${value} without naming it`;
  }
}
