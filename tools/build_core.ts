/** Compiles core/assembly and writes core/core_wasm.ts, or hands both to a test that asks whether they are fresh. */

import { Buffer } from "node:buffer";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const HOUSE = fileURLToPath(new URL("..", import.meta.url));

const FLAGS = [
  // The memory is given, shared, and sized by whoever makes it: 65536 pages is only the type's own limit.
  "--importMemory",
  "--sharedMemory",
  ...["--initialMemory", "1"],
  ...["--maximumMemory", "65536"],
  ...["--enable", "threads"],
  // No heap: what allocates does not link. An empty abort makes `assert` trap; with one it would put strings into the module.
  ...["--runtime", "stub"],
  ...["--use", "abort="],
  "--noExportMemory",
];

/** Most of the time that a build takes. `--fast` leaves it out, for who only asks whether the machine is right. */
const OPTIMISED = ["-O3", "--converge"];

/** What came of a compilation. */
export interface CompiledCore {
  /** The module. */
  readonly wasm: Uint8Array;
  /** The same in the text format. */
  readonly wat: string;
}

/** The source of a file by its name from the house's root; throws when there is none. */
export type ReadSource = (name: string) => string;

/** Reads a file of the house. */
export const readHouse: ReadSource = (name) => readFileSync(join(HOUSE, name), "utf8");

/** Compiles core/assembly in memory, as it is committed or fast. A test may have it read other sources than the house's. */
export async function compileCore(readSource: ReadSource = readHouse, fast = false): Promise<CompiledCore> {
  const outputs = new Map<string, string | Uint8Array>();
  const { error, stderr } = await asc.main(
    [
      "core/assembly/index.ts",
      ...FLAGS,
      ...(fast ? [] : OPTIMISED),
      "--outFile",
      "core.wasm",
      "--textFile",
      "core.wat",
    ],
    {
      readFile: (name, folder) => {
        try {
          return readSource(join(folder, name));
        } catch {
          return null; // asc tries several names for each import
        }
      },
      writeFile: (name, contents) => void outputs.set(name, contents),
      listFiles: () => [],
    },
  );
  if (error !== null) throw new Error(`core/assembly does not compile:\n${stderr.toString()}`, { cause: error });
  return { wasm: outputs.get("core.wasm") as Uint8Array, wat: String(outputs.get("core.wat")) };
}

/** The generated file that holds a module. */
export function generatedSource(wasm: Uint8Array): string {
  const lines = Buffer.from(wasm).toString("base64").match(/.{1,110}/g) ?? [];
  return `// Generated from core/assembly by \`deno task build\`. Do not edit: a test compares it with a fresh build.

/** The WebAssembly module of the core, in base64. */
export const CORE_WASM_BASE64: string = [
${lines.map((line) => `  "${line}",`).join("\n")}
].join("");
`;
}

if (import.meta.main) {
  const { wasm } = await compileCore(readHouse, Deno.args.includes("--fast"));
  writeFileSync(join(HOUSE, "core/core_wasm.ts"), generatedSource(wasm));
  console.log(`core/core_wasm.ts: a module of ${wasm.length} bytes`);
}
