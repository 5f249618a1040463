import { ageConformance } from "./conformance_age.ts";
import { cursorConformance } from "./conformance_cursor.ts";
import type { DeclareTest, JournalUnderTest } from "./conformance_fixture.ts";
import { programConformance } from "./conformance_program.ts";
import { roomConformance } from "./conformance_room.ts";
import { splitConformance } from "./conformance_split.ts";

/** What every journal must do, whatever it is kept in. */
export function journalConformance(name: string, journalUnderTest: JournalUnderTest): void {
  const test: DeclareTest = (title, body) => Deno.test(`${name}: ${title}`, body);
  const parts = [roomConformance, cursorConformance, splitConformance, ageConformance, programConformance];
  for (const conformance of parts) conformance(test, journalUnderTest);
}
