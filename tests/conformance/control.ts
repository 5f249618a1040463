/** What people and other programs may do with a circuit. */

import { must, type Trial } from "./circuit.ts";

export const CONTROL: readonly Trial[] = [
  {
    number: 37,
    title: "Forced open holds until it is released",
    needs: ["hold"],
    async run(start) {
      const circuit = start();
      const release = circuit.subject.hold!();
      await circuit.refuses("a call passes at once");
      await circuit.advance(20 * circuit.settings.openMs);
      await circuit.refuses("a call passes after 20 open times");
      release();
      await circuit.passes("calls are refused after the release");
    },
  },
  {
    number: 38,
    title: "Of two who hold it open, one cannot release the other's hold",
    needs: ["hold"],
    async run(start) {
      const circuit = start();
      const [release, releaseOther] = [circuit.subject.hold!(), circuit.subject.hold!()];
      release();
      release();
      await circuit.refuses("one release, given twice, ends both holds");
      releaseOther();
      await circuit.passes("calls are refused after both releases");
    },
  },
  {
    number: 39,
    title: "Forced closed it lets every call pass, and afterwards protects again",
    needs: ["forcedClosed"],
    async run(start) {
      const circuit = start();
      circuit.subject.passAll!(true);
      const ranCount = await circuit.fail(50);
      must(ranCount === 50, `${ranCount} of 50 calls pass`);
      circuit.subject.passAll!(false);
      await circuit.passes("back in force it refuses at once");
      await circuit.fail(5);
      must(circuit.state === "open", "back in force it stays closed after 5 failures");
    },
  },
  {
    number: 40,
    title: "Only watching, it says what it would do and refuses nothing",
    needs: ["metricsOnly"],
    async run(start) {
      const circuit = start();
      circuit.subject.watchOnly!(true);
      await circuit.open();
      const ranCount = await circuit.fail(20);
      must(ranCount === 20, `${ranCount} of 20 calls pass`);
      circuit.subject.watchOnly!(false);
      await circuit.refuses("back in force a call passes although it is open");
    },
  },
  {
    number: 41,
    title: "A snapshot taken while open restores it open, with the time that was left",
    needs: ["snapshot"],
    async run(start) {
      const circuit = start();
      await circuit.advance(7_000);
      await circuit.open();
      await circuit.advance(400);
      const restored = start().restored(asJson(circuit.subject.snapshot!()));
      must(restored.state === "open", `it is ${restored.state}`);
      await restored.advance(599);
      await restored.refuses("a probe passes after 599 of 600 ms");
      await restored.advance(1);
      await restored.passes("no probe passes after 600 of 600 ms");
    },
  },
  {
    number: 42,
    title: "What is not a snapshot is refused, and changes nothing",
    needs: ["snapshot"],
    async run(start) {
      const opened = start();
      await opened.open();
      const snapshot = asJson(opened.subject.snapshot!());
      const circuit = start();
      for (const [what, bad] of [["{}", {}], ["a snapshot full of words", withWords(snapshot)]] as const) {
        must(throws(() => circuit.subject.restore!(bad)), `it takes ${what}`);
        must(circuit.state === "closed", `${what} opens it`);
      }
      await circuit.passes("after refusing it, calls are refused too");
    },
  },
  {
    number: 58,
    title: "A snapshot taken while closed restores what was counted",
    needs: ["snapshot"],
    async run(start) {
      const circuit = start();
      await circuit.fail(4);
      const restored = start().restored(asJson(circuit.subject.snapshot!()));
      must(restored.state === "closed", `it is ${restored.state}`);
      await restored.fail(1);
      must(restored.state === "open", "4 failures before it and 1 after it do not make 5");
    },
  },
  {
    number: 43,
    title: "A setting changed at run time forgets nothing",
    needs: ["reconfigure"],
    async run(start) {
      const circuit = start();
      await circuit.fail(3);
      circuit.subject.reconfigure!({ failures: 4 });
      must(circuit.state === "closed", "the change itself opens it");
      await circuit.fail(1);
      must(circuit.state === "open", "3 failures before the change and 1 after it do not make 4");
    },
  },
  {
    number: 44,
    title: "Those who share a circuit share its state, and who joins changes nothing",
    needs: ["attach"],
    async run(start) {
      const circuit = start();
      const before = circuit.attached();
      await circuit.open();
      const after = circuit.attached();
      for (const each of [circuit, before, after]) {
        must(each.state === "open", "one of them is not open");
        await each.refuses("one of them lets a call pass");
      }
      await circuit.advance(circuit.settings.openMs);
      const calls = [await before.begin(), await after.begin(), await circuit.begin()];
      const ran = calls.filter((call) => call.ran);
      must(ran.length === 1, `${ran.length} probes pass at once`);
      await ran[0]!.succeed();
      must([circuit, before, after].every(({ state }) => state === "closed"), "the probe does not close it for all");
    },
  },
];

/** As it is after it was stored and read. */
function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** The same shape with a word in place of every number and word. */
function withWords(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return "corrupt";
  if (Array.isArray(value)) return value.map(withWords);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withWords(inner)]));
}

function throws(action: () => unknown): boolean {
  try {
    action();
    return false;
  } catch {
    return true;
  }
}
