/** What steps of the wall clock must not do, and what must not be left running. */

import { must, type Trial } from "./circuit.ts";

const HOUR_MS = 3_600_000;

export const CLOCKS: readonly Trial[] = [
  {
    number: 10,
    title: "A wall clock that steps back an hour delays no probe",
    needs: [],
    async run(start) {
      const circuit = start();
      await circuit.open();
      await circuit.stepWall(-HOUR_MS);
      await circuit.advance(circuit.settings.openMs);
      await circuit.passes("no probe passes when the open time is over");
    },
  },
  {
    number: 33,
    title: "A wall clock that steps an hour ahead lets no probe pass early",
    needs: [],
    async run(start) {
      const circuit = start();
      await circuit.open();
      await circuit.stepWall(HOUR_MS);
      await circuit.refuses("a probe passes at once");
    },
  },
  {
    number: 34,
    title: "A wall clock that steps an hour ahead empties no time window",
    needs: ["timeWindow"],
    async run(start) {
      const circuit = start({ timeWindowMs: 10_000 });
      await circuit.fail(4);
      await circuit.stepWall(HOUR_MS);
      await circuit.fail(1);
      must(circuit.state === "open", "4 failures before the step are forgotten at the fifth");
    },
  },
  {
    number: 35,
    title: "A wall clock that steps an hour ahead makes no call slow",
    needs: ["slowCalls"],
    async run(start) {
      const circuit = start({ failures: 1, slowMs: 100, slowRatio: 0.5 });
      const call = await circuit.begin();
      await circuit.stepWall(HOUR_MS);
      await call.succeed();
      must(circuit.state === "closed", "a call that took no time counts as slow");
    },
  },
  {
    number: 36,
    title: "Closed again, it has no timer running",
    needs: [],
    async run(start) {
      const circuit = start();
      await circuit.openAndRecover();
      must(circuit.timerCount === 0, `${circuit.timerCount} timers run`);
    },
  },
];
