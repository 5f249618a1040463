/** Results of calls that were made before the circuit moved on: they say how the backend was, not how it is. */

import { must, type Trial } from "./circuit.ts";

export const LATE_RESULTS: readonly Trial[] = [
  {
    number: 5,
    title: "The late failure of an old call does not reopen a half-open circuit",
    needs: [],
    async run(start) {
      const circuit = start();
      const late = await circuit.begin();
      await circuit.openAndWait();
      const probe = await circuit.passes("no probe passes when the open time is over");
      await late.fail();
      must(circuit.state !== "open", "it opens while the probe is still under way");
      await probe.succeed();
      must(circuit.state === "closed", `after it the probe's success leaves it ${circuit.state}`);
      await circuit.passes("calls are refused although it is closed");
    },
  },
  {
    number: 6,
    title: "The late success of an old call does not close a half-open circuit",
    needs: [],
    async run(start) {
      const circuit = start();
      const late = await circuit.begin();
      await circuit.openAndWait();
      const probe = await circuit.passes("no probe passes when the open time is over");
      await late.succeed();
      must(circuit.state !== "closed", "it closes while the probe is still under way");
      await probe.fail();
      must(circuit.state === "open", `after it the probe's failure leaves it ${circuit.state}`);
    },
  },
  {
    number: 7,
    title: "The late failure of a probe does not reopen a closed circuit",
    needs: ["earlyClose"],
    async run(start) {
      const circuit = start({ probes: 2 });
      await circuit.openAndWait();
      const [late, probe] = await circuit.beginMany(2);
      must(late!.ran && probe!.ran, "2 probes may not pass at once");
      await probe!.succeed();
      must(circuit.state === "closed", "a successful probe does not close it");
      await late!.fail();
      must(circuit.state === "closed", "it reopens");
    },
  },
  {
    number: 8,
    title: "6 late failures of old calls do not open a circuit that has recovered",
    needs: [],
    async run(start) {
      const circuit = start();
      const late = await circuit.beginMany(6);
      await circuit.openAndRecover();
      for (const [index, call] of late.entries()) {
        await call.fail();
        must(circuit.state === "closed", `late failure ${index + 1} opens it`);
      }
    },
  },
  {
    number: 17,
    title: "A late result does not leave it shut for ever",
    needs: [],
    async run(start) {
      for (const result of ["fail", "succeed"] as const) {
        const circuit = start();
        const late = await circuit.begin();
        await circuit.openAndWait();
        const probe = await circuit.passes("no probe passes when the open time is over");
        await late[result]();
        await probe.succeed();
        let passed = false;
        for (let time = 0; time < 20 && !passed; time++) {
          await circuit.advance(circuit.settings.openMs);
          passed = (await circuit.begin()).ran;
        }
        must(passed, `after a late ${result === "fail" ? "failure" : "success"} no call passes within 20 open times`);
      }
    },
  },
  {
    number: 18,
    title: "A late success from before it opened forgives no failure of now",
    needs: [],
    async run(start) {
      const circuit = start();
      const late = await circuit.begin();
      await circuit.openAndRecover();
      await circuit.fail(4);
      await late.succeed();
      await circuit.fail(1);
      must(circuit.state === "open", "after it 5 failures leave it closed");
    },
  },
  {
    number: 19,
    title: "Late failures do not lengthen the wait that has begun",
    needs: [],
    async run(start) {
      const circuit = start();
      const late = await circuit.beginMany(5);
      await circuit.open();
      await circuit.advance(900);
      for (const call of late) await call.fail();
      await circuit.advance(100);
      await circuit.passes("no probe passes 1000 ms after it opened");
    },
  },
  {
    number: 20,
    title: "A result that is recorded twice counts once",
    needs: ["permits"],
    run(start) {
      const circuit = start({ failures: 2 });
      const record = circuit.subject.acquire!();
      must(record !== undefined, "a closed circuit refuses");
      must(record!("failure") === "applied", "the first result is not applied");
      must(record!("failure") === "duplicate", "the second result is not called a duplicate");
      must(circuit.state === "closed", "one failure, recorded twice, opens what takes two");
    },
  },
  {
    number: 57,
    title: "The late success of an old call does not close an open circuit",
    needs: [],
    async run(start) {
      const circuit = start();
      const late = await circuit.begin();
      await circuit.open();
      await late.succeed();
      must(circuit.state === "open", `it is ${circuit.state}`);
      await circuit.refuses("a call passes although the open time is not over");
    },
  },
];
