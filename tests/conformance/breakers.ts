/** The breakers that are asked. */

import type { Adapter } from "./adapter.ts";
import { breakwater } from "./adapters/breakwater.ts";
import { cockatiel } from "./adapters/cockatiel.ts";
import { oracle } from "./adapters/model.ts";
import { mollitia } from "./adapters/mollitia.ts";
import { naive } from "./adapters/naive.ts";
import { opossum } from "./adapters/opossum.ts";
import { judgeAll } from "./suite.ts";
import type { Result } from "./table.ts";

/** Those that must pass every test. */
export const OURS: readonly Adapter[] = [...breakwater, ...oracle];

/** What a user may take instead, or write. */
export const OTHERS: readonly Adapter[] = [opossum, ...cockatiel, ...mollitia, naive];

/** Asks everything of each. */
export async function resultsOf(adapters: readonly Adapter[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const adapter of adapters) results.push({ adapter, verdicts: await judgeAll(adapter) });
  return results;
}
