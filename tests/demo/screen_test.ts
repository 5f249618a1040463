import assert from "node:assert/strict";
import { sceneAt, SCENES } from "../../demo/play.ts";
import { type Moment, pipeScreen, terminalScreen } from "../../demo/screen.ts";

const VIEW = {
  circuit: "open",
  why: "refused",
  received: 1_200,
  delivered: 1_000,
  redelivered: 0,
  queued: 200,
  lost: {},
};

function momentAt(elapsedMs: number): Moment {
  return {
    elapsedMs,
    playMs: 40_000,
    sceneNumber: 2,
    sceneCount: 5,
    sceneTitle: "the collector is down",
    signals: { traces: VIEW, metrics: VIEW, logs: VIEW },
  };
}

Deno.test("in a pipe the demonstration writes whole lines and no control character, and not at every look", () => {
  let text = "";
  const screen = pipeScreen((part) => text += part);
  for (let elapsedMs = 0; elapsedMs <= 4_000; elapsedMs += 250) screen.show(momentAt(elapsedMs));
  screen.say("circuit opened");
  assert.equal(text.split("\n").length - 1, 4);
  assert.ok([...text].every((character) => character === "\n" || character >= " "));
  assert.ok(text.includes("traces open: in 1200, out 1000, queued 200 |"));
});

Deno.test("on a terminal the demonstration takes back what it drew, and keeps what it said", () => {
  let text = "";
  const screen = terminalScreen({ write: (part) => text += part, colored: false, columnCount: 60 });
  screen.show(momentAt(1_000));
  const drawnLineCount = text.split("\n").length - 1;
  text = "";
  screen.say("circuit opened");
  assert.ok(text.startsWith(`\x1b[${drawnLineCount}F\x1b[0J`));
  assert.ok(text.includes("circuit opened\n"));
  assert.ok(text.includes("1,200"));
  assert.ok(text.split("\n").every((line) => (line.split("\x1b[0J").at(-1) ?? "").length < 60));
});

Deno.test("on a narrow terminal what is said breaks between words, and why a circuit is open has a line of its own", () => {
  let text = "";
  const screen = terminalScreen({ write: (part) => text += part, colored: false, columnCount: 60 });
  screen.say("  spans  made 1200 = received 1200 = delivered 1000 + lost 0 + queued 200   balanced");
  assert.equal(text, "  spans  made 1200 = received 1200 = delivered 1000 + lost 0\n      + queued 200   balanced\n");
  text = "";
  screen.say("x".repeat(70));
  assert.equal(text, `${"x".repeat(70)}\n`);

  const why = "next probe in 0.6 s: connection refused";
  const view = { ...VIEW, why };
  screen.show({ ...momentAt(1_000), signals: { traces: view, metrics: view, logs: view } });
  assert.equal(text.split("\n").filter((line) => line.trim() === why).length, 3);
  assert.ok(text.split("\n").slice(1).every((line) => line.length < 60));
});

Deno.test("the scenes fill the whole play and come in order", () => {
  assert.ok(Math.abs(SCENES.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
  const seen = Array.from({ length: 400 }, (_, tenth) => sceneAt(tenth * 100, 40_000));
  assert.deepEqual([...new Set(seen)], SCENES.map((_, index) => index));
  assert.deepEqual(seen, seen.toSorted((a, b) => a - b));
});
