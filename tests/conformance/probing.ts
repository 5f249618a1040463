/** How a circuit that has opened finds out whether it may close. */

import { must, type Trial } from "./circuit.ts";

export const PROBING: readonly Trial[] = [
  {
    number: 3,
    title: "Half-open: 1 of 20 calls runs, 19 are refused at once",
    needs: [],
    async run(start) {
      const circuit = start();
      await circuit.openAndWait();
      const calls = await circuit.beginMany(20);
      const ranCount = calls.filter(({ ran }) => ran).length;
      must(ranCount === 1, `${ranCount} of 20 calls run`);
      const waitingCount = calls.filter(({ ran, refused }) => !ran && !refused).length;
      must(waitingCount === 0, `${waitingCount} callers are kept waiting for the probe`);
    },
  },
  {
    number: 4,
    title: "A probe that never settles does not shut it for ever",
    needs: [],
    async run(start) {
      const circuit = start();
      await circuit.openAndWait();
      await circuit.passes("no probe passes when the open time is over");
      for (let time = 0; time < 20; time++) {
        await circuit.advance(circuit.settings.openMs);
        if ((await circuit.begin()).ran) return;
      }
      must(false, "no call passes within 20 open times");
    },
  },
  {
    number: 9,
    title: "Probes of an earlier round neither free nor take places in this one",
    needs: ["probes", "earlyReopen"],
    async run(start) {
      const circuit = start({ probes: 2, successes: 2 });
      await circuit.openAndWait();
      const [left, failing] = await circuit.beginMany(2);
      must(left!.ran && failing!.ran, "2 probes may not pass at once");
      await failing!.fail();
      must(circuit.state === "open", "a failed probe leaves it half-open");
      await circuit.advance(circuit.settings.openMs);
      const round = await circuit.beginMany(2);
      must(round.every(({ ran }) => ran), "a probe of the round before takes a place in this one");
      await left!.succeed();
      const more = (await circuit.beginMany(6)).filter(({ ran }) => ran).length;
      must(more === 0, `${2 + more} probes are under way where 2 may be`);
      must(circuit.state !== "closed", "a probe of the round before closes it");
    },
  },
  {
    number: 13,
    title: "A circuit that has recovered starts clean",
    needs: [],
    async run(start) {
      const circuit = start();
      await circuit.openAndRecover();
      const ranCount = await circuit.fail(3);
      must(circuit.state === "closed", `failure ${ranCount} of 5 opens it again`);
    },
  },
  {
    number: 15,
    title: "A probe that ends with a neutral error closes nothing and leaks nothing",
    needs: ["neutral"],
    async run(start) {
      const circuit = start();
      await circuit.openAndWait();
      must(await circuit.neutral() === 1, "no probe passes when the open time is over");
      must(circuit.state !== "closed", "a neutral error closes it");
      await circuit.advance(circuit.settings.openMs);
      await circuit.passes("no probe passes an open time later");
    },
  },
  {
    number: 21,
    title: "With 3 probes allowed exactly 3 run, in each of several rounds",
    needs: ["probes"],
    async run(start) {
      const circuit = start({ probes: 3, successes: 3 });
      await circuit.open();
      for (let round = 1; round <= 3; round++) {
        await circuit.advance(circuit.settings.openMs);
        const ran = (await circuit.beginMany(20)).filter((call) => call.ran);
        must(ran.length === 3, `${ran.length} of 20 calls run in round ${round}`);
        for (const probe of ran) await (round < 3 ? probe.fail() : probe.succeed());
        const state = round < 3 ? "open" : "closed";
        must(circuit.state === state, `after round ${round} it is ${circuit.state} instead of ${state}`);
      }
    },
  },
  {
    number: 22,
    title: "Where 2 probes must succeed, 1 does not close it",
    needs: ["successes"],
    async run(start) {
      const circuit = start({ successes: 2 });
      await circuit.openAndWait();
      await circuit.ok(1);
      must(circuit.state !== "closed", "the first of 2 closes it");
      await circuit.fail(1);
      must(circuit.state === "open", "a failure after it leaves it half-open");
      await circuit.advance(circuit.settings.openMs);
      await circuit.ok(1);
      must(circuit.state !== "closed", "the success of the round before still counts");
      await circuit.ok(1);
      must(circuit.state === "closed", "the second of 2 leaves it half-open");
    },
  },
  {
    number: 23,
    title: "With its limit on hung calls set, a lost probe is replaced and stays lost",
    needs: ["hungLimit"],
    async run(start) {
      const circuit = start({ hungMs: 500 });
      await circuit.openAndWait();
      const lost = await circuit.passes("no probe passes when the open time is over");
      for (let time = 0; time < 3; time++) {
        await circuit.advance(circuit.settings.openMs);
        const probe = await circuit.begin();
        if (!probe.ran) continue;
        await lost.succeed();
        must(circuit.state !== "closed", "the late success of the lost probe closes it");
        await probe.fail();
        must(
          circuit.state === "open",
          "after the late success of the lost probe, the failure of the next changes nothing",
        );
        return;
      }
      must(false, "no call passes within 3 open times");
    },
  },
  {
    number: 24,
    title: "While open, every Nth call may probe and no other",
    needs: ["everyNth"],
    async run(start) {
      const circuit = start({ openMs: 60_000, everyNth: 4 });
      await circuit.open();
      const ranCount = await circuit.fail(12);
      must(ranCount === 3, `${ranCount} of 12 calls run where every fourth may`);
    },
  },
  {
    number: 25,
    title: "Each failed probe lengthens the wait, to a limit; recovery resets it",
    needs: ["backoff"],
    async run(start) {
      const circuit = start({ openMs: 1_000, backoff: 2, openMaxMs: 4_000 });
      await circuit.open();
      for (const waitMs of [1_000, 2_000, 4_000, 4_000]) {
        await circuit.advance(waitMs - 1);
        await circuit.refuses(`a probe passes before a wait of ${waitMs} ms is over`);
        await circuit.advance(1);
        await (await circuit.passes(`no probe passes after a wait of ${waitMs} ms`)).fail();
      }
      await circuit.advance(4_000);
      await circuit.recover();
      await circuit.open();
      await circuit.advance(1_000);
      await circuit.passes("after a recovery the first wait is still the long one");
    },
  },
  {
    number: 26,
    title: "A probe that succeeds too slowly does not close it",
    needs: ["slowCalls"],
    async run(start) {
      const circuit = start({ slowMs: 100, slowRatio: 0.5 });
      await circuit.openAndWait();
      await circuit.slow(150);
      must(circuit.state === "open", `it is ${circuit.state} after a slow probe`);
    },
  },
];
