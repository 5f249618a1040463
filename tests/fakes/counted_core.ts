/** The core as it is today, except that it tells of each atomic operation that writes. */

import { compileCore, readHouse } from "../../tools/build_core.ts";

const COUNTED = "core/assembly/counted.ts";

const CHANGES = ["add", "sub", "and", "or", "xor", "xchg"];

/** What stands in for the atomics. */
const COUNTED_SOURCE = `
// @ts-ignore: decorator
@external("env", "wrote") declare function wrote(): void;
export function counted_store<T>(address: usize, value: T, offset: usize = 0): void {
  wrote();
  atomic.store<T>(address + offset, value);
}
export function counted_cmpxchg<T>(address: usize, expected: T, next: T, offset: usize = 0): T {
  wrote();
  return atomic.cmpxchg<T>(address + offset, expected, next);
}
${
  CHANGES.map((name) => `
export function counted_${name}<T>(address: usize, value: T, offset: usize = 0): T {
  wrote();
  return atomic.${name}<T>(address + offset, value);
}`).join("")
}`;

/** Compiles the core that tells `env.wrote` of each atomic that writes, before it does. */
export async function compileCountedCore(): Promise<WebAssembly.Module> {
  const { wasm } = await compileCore((name) => name === COUNTED ? COUNTED_SOURCE : counted(readHouse(name)));
  return new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>);
}

function counted(source: string): string {
  const names = new Set<string>();
  const changed = source.replace(/\batomic\.(?!load\b)(\w+)</g, (_, name: string) => {
    names.add(`counted_${name}`);
    return `counted_${name}<`;
  });
  return names.size === 0 ? source : `import { ${[...names].join(", ")} } from "./counted";\n${changed}`;
}
