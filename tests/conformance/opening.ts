/** When a circuit opens, and when it does not. */

import { BAD_RESULT } from "./adapter.ts";
import { must, type Trial } from "./circuit.ts";

export const OPENING: readonly Trial[] = [
  {
    number: 1,
    title: "It opens at exactly the Nth failure",
    needs: [],
    async run(start) {
      const circuit = start({ failures: 5 });
      await circuit.fail(4);
      await (await circuit.passes("it is open after 4 of 5 failures")).fail();
      await circuit.refuses("it is closed after 5 of 5 failures");
    },
  },
  {
    number: 2,
    title: "A threshold of 100 % opens it on 30 failures of 30",
    needs: ["fullRatio"],
    async run(start) {
      const circuit = start({ failures: 30, ratio: 1, countWindow: 30 });
      await circuit.fail(30);
      must(circuit.state === "open", "30 failures of 30 leave it closed");
    },
  },
  {
    number: 11,
    title: "A count window forgets the call that falls out of it",
    needs: ["countWindow"],
    async run(start) {
      const circuit = start({ failures: 10, countWindow: 10, ratio: 0.5 });
      await circuit.fail(4);
      await circuit.ok(10);
      await circuit.fail(4);
      must(circuit.state === "closed", "4 failures that have left the window count beside the 4 in it");
      await circuit.ok(30);
      await circuit.fail(6);
      must(circuit.state === "open", "successes that have left the window count beside 6 failures of the last 10");
    },
  },
  {
    number: 12,
    title: "A time window forgets when nothing was called for long",
    needs: ["timeWindow"],
    async run(start) {
      const circuit = start({ failures: 5, timeWindowMs: 10_000 });
      await circuit.fail(4);
      await circuit.advance(60_000);
      await circuit.fail(4);
      must(circuit.state === "closed", "failures of a minute ago count in a window of 10 s");
      await circuit.fail(1);
      must(circuit.state === "open", "5 failures within the window leave it closed");
    },
  },
  {
    number: 14,
    title: "Refused calls do not dilute the rate of failures",
    needs: [],
    async run(start) {
      const circuit = start();
      await circuit.open();
      await circuit.beginMany(100);
      await circuit.advance(circuit.settings.openMs);
      await circuit.recover();
      await circuit.fail(5);
      must(circuit.state === "open", "after 100 refusals, 5 failures of 5 calls leave it closed");
    },
  },
  {
    number: 16,
    title: "Calls that hang do not dilute the rate of failures",
    needs: [],
    async run(start) {
      const circuit = start();
      await circuit.beginMany(20);
      await circuit.fail(5);
      must(circuit.state === "open", "with 20 calls under way, 5 failures of 5 answers leave it closed");
    },
  },
  {
    number: 27,
    title: "A ratio opens it where it is reached, and not before the fewest calls",
    needs: ["ratio"],
    async run(start) {
      const early = start({ failures: 10, ratio: 0.2 });
      await early.fail(3);
      await early.ok(6);
      must(early.state === "closed", "it opens after 9 calls where 10 are asked for");
      await early.fail(1);
      must(early.state === "open", "4 failures of 10 calls do not reach 20 %");
      const below = start({ failures: 10, ratio: 0.5 });
      await below.ok(6);
      await below.fail(4);
      must(below.state === "closed", "4 failures of 10 calls reach 50 %");
    },
  },
  {
    number: 28,
    title: "Calls that succeed too slowly open it",
    needs: ["slowCalls"],
    async run(start) {
      const circuit = start({ failures: 10, slowMs: 100, slowRatio: 0.5 });
      await circuit.ok(6);
      await circuit.slow(150, 4);
      must(circuit.state === "closed", "4 slow calls of 10 reach 50 %");
      await circuit.slow(150, 3);
      must(circuit.state === "open", "7 slow calls of 13 leave it closed");
    },
  },
  {
    number: 29,
    title: "A neutral error while closed forgives no failure",
    needs: ["neutral"],
    async run(start) {
      const circuit = start();
      await circuit.fail(4);
      await circuit.neutral();
      await circuit.fail(1);
      must(circuit.state === "open", "a neutral error between 5 failures keeps it closed");
    },
  },
  {
    number: 30,
    title: "Neutral errors do not dilute the rate of failures",
    needs: ["neutral"],
    async run(start) {
      const circuit = start({ countWindow: 40 });
      await circuit.neutral(20);
      must(circuit.state === "closed", "neutral errors open it");
      await circuit.fail(5);
      must(circuit.state === "open", "after 20 neutral errors, 5 failures leave it closed");
    },
  },
  {
    number: 31,
    title: "A backend that asks for a pause gets it at once, and for so long",
    needs: ["throttle"],
    async run(start) {
      const circuit = start();
      await circuit.throttle(5_000);
      must(circuit.state === "open", "one answer that asks for a pause leaves it closed");
      await circuit.advance(4_999);
      await circuit.refuses("a call passes 1 ms before the pause is over");
      await circuit.advance(1);
      await circuit.passes("no call passes when the pause is over");
    },
  },
  {
    number: 32,
    title: "No probe passes while a pause runs, by whatever way",
    needs: ["throttle", "everyNth"],
    async run(start) {
      const circuit = start({ openMs: 100, everyNth: 2 });
      await circuit.open();
      await circuit.advance(100);
      await (await circuit.passes("no probe passes when the open time is over")).fail();
      await circuit.advance(100);
      await circuit.throttle(5_000);
      for (let ms = 100; ms < 5_000; ms += 100) {
        await circuit.advance(100);
        await circuit.refuses(`a call passes ${ms} ms into a pause of 5000 ms`);
      }
      await circuit.advance(100);
      const passed = [await circuit.begin(), await circuit.begin()].filter(({ ran }) => ran);
      must(passed.length === 1, `${passed.length} of 2 calls pass when the pause is over`);
    },
  },
  {
    number: 53,
    title: "A result can mean failure although nothing was thrown",
    needs: ["results"],
    async run(start) {
      const circuit = start();
      for (let time = 0; time < 5; time++) {
        const call = await circuit.begin();
        await call.succeed(BAD_RESULT);
        must(call.value === BAD_RESULT, "the caller does not get the result");
      }
      must(circuit.state === "open", "5 bad results leave it closed");
    },
  },
];
