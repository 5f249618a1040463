import { JournalStory, STORY_ROUND_COUNT } from "../../crash/journal_story.ts";

/** A few here; `deno task crash` tells as many stories as are asked for. */
const STORY_COUNT = 1;

Deno.test("P2-16 processes that are killed one after the other lose nothing that was accepted, and their accounts balance", async () => {
  for (let seed = 1; seed <= STORY_COUNT; seed++) {
    const story = new JournalStory(seed);
    for (let round = 0; round < STORY_ROUND_COUNT; round++) await story.round();
  }
});
