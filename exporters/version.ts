/** The version of Breakwater, as `deno.json` has it and as User-Agent tells it. */
export const VERSION = "0.1.0";
