/** How modes, attachments and snapshots are broken on purpose. */

import type { Mutant } from "./mutant.ts";

const BREAKER = "core/assembly/breaker.ts";
const RESTORE = "core/assembly/restore.ts";
const TICKETS = "core/assembly/tickets.ts";
const MODES = "core/assembly/modes.ts";

/** In the order of the table. */
export const MODE_MUTANTS: readonly Mutant[] = [
  {
    name: "forced_open lets probes through",
    breaks: "what an operator shut goes on calling the backend",
    file: BREAKER,
    from: "if (isShut(modeOf(w))) {",
    to: "if (false) {",
  },
  {
    name: "forced_closed opens",
    breaks: "failures open a circuit that is to let everything through",
    file: BREAKER,
    from: "const mayOpen = modeOf(w) != FORCED_CLOSED;",
    to: "const mayOpen = true;",
  },
  {
    name: "metrics_only refuses",
    breaks: "a circuit that is only to be watched stops calls",
    file: BREAKER,
    from: "if (modeOf(w) == METRICS_ONLY) {",
    to: "if (false) {",
  },
  {
    name: "metrics_only counts what it would have refused",
    breaks: "calls that should not have been made decide about the circuit",
    file: BREAKER,
    from: "return issue(slot, attachment, w ^ GENERATION_FAR);",
    to: "return issue(slot, attachment, w);",
  },
  {
    name: "one release lets go of all holds",
    breaks: "a circuit that two operators hold open is freed by one",
    file: MODES,
    from: "atomic.sub<u32>(base, HOLD_ONE, MODES);",
    to: "atomic.and<u32>(base, SET_MASK, MODES);",
  },
  {
    name: "who detaches leaves its holds behind",
    breaks: "a circuit stays open for ever after the object that held it is gone",
    file: MODES,
    from: "if (holds > 0) {",
    to: "if (false) {",
  },
  {
    name: "letting go closes what was open",
    breaks: "a backend that is down is called because an operator is done",
    file: MODES,
    from: "next = (w & OK_MASK) == WAS_CLOSED ?",
    to: "next = true ?",
  },
  {
    name: "reclaim takes what others attached",
    breaks: "a worker's exit detaches those that are alive",
    file: MODES,
    from: "if (!isClaimed || atomic.load<u32>(slotOf(base, other), OWNER) != owner) continue;",
    to: "if (!isClaimed || other == attachment) continue;",
  },
  {
    name: "two threads claim one attachment",
    breaks: "permits of two threads are one another's duplicates",
    file: TICKETS,
    from: "if ((atomic.or<u32>(word, bit) & bit) != 0) continue; // another thread was first",
    to: "atomic.or<u32>(word, bit);",
    races: true,
  },

  // Snapshots.
  {
    name: "restore keeps the generation",
    breaks: "calls that were out before a restore decide about the circuit after it",
    file: RESTORE,
    from: "next &= ~(FAILURES_MASK | OPENING_MASK | MODE_MASK);",
    to:
      "next = (next & ~(FAILURES_MASK | OPENING_MASK | MODE_MASK | GENERATION_MAX << 29)) | (w & GENERATION_MAX << 29);",
  },
  {
    name: "restore forgets the pause",
    breaks: "a restored circuit calls a backend that asked to be left alone",
    file: RESTORE,
    from: "if (pause > 0) raiseFloor(",
    to: "if (false) raiseFloor(",
  },
  {
    name: "restore forgets the attempts",
    breaks: "a restored circuit counts its attempts from 0",
    file: RESTORE,
    from: "raise(base + ATTEMPTS, deadlineWord(openingOf(next), wholeMs(asked)), OPENING_MAX);",
    to: "",
  },
  {
    name: "restore forgets what was left of the cooldown",
    breaks: "a restored circuit probes at once",
    file: RESTORE,
    from: "deadlineWord(generationOf(next), now + cooldown)",
    to: "deadlineWord(generationOf(next), now)",
  },
];
