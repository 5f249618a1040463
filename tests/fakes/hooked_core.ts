/**
 * The core with a hook: the module of core/assembly as it is today, except that it calls `env.hook` before each atomic. A test
 * decides in the hook who goes next, or what the atomic is to find.
 */

import { compileCore, readHouse } from "../../tools/build_core.ts";

const HOOKED = "core/assembly/hooked.ts";

/** What stands in for the atomics. Kinds are places in KINDS of tests/model/steps/words.ts. */
const HOOKED_SOURCE = `
// @ts-ignore: decorator
@external("env", "hook") declare function hook(kind: i32, address: usize, expected: u64, next: u64): void;
export function hooked_load<T>(address: usize, offset: usize = 0): T {
  hook(0, address + offset, 0, 0);
  return atomic.load<T>(address + offset);
}
export function hooked_store<T>(address: usize, value: T, offset: usize = 0): void {
  hook(1, address + offset, 0, <u64>value);
  atomic.store<T>(address + offset, value);
}
export function hooked_cmpxchg<T>(address: usize, expected: T, next: T, offset: usize = 0): T {
  hook(2, address + offset, <u64>expected, <u64>next);
  return atomic.cmpxchg<T>(address + offset, expected, next);
}
export function hooked_add<T>(address: usize, value: T, offset: usize = 0): T {
  hook(3, address + offset, 0, <u64>value);
  return atomic.add<T>(address + offset, value);
}
export function hooked_sub<T>(address: usize, value: T, offset: usize = 0): T {
  hook(4, address + offset, 0, <u64>value);
  return atomic.sub<T>(address + offset, value);
}
export function hooked_xchg<T>(address: usize, value: T, offset: usize = 0): T {
  hook(5, address + offset, 0, <u64>value);
  return atomic.xchg<T>(address + offset, value);
}
export function hooked_or<T>(address: usize, value: T, offset: usize = 0): T {
  hook(6, address + offset, 0, <u64>value);
  return atomic.or<T>(address + offset, value);
}
export function hooked_and<T>(address: usize, value: T, offset: usize = 0): T {
  hook(7, address + offset, 0, <u64>value);
  return atomic.and<T>(address + offset, value);
}
`;

/** Compiles the core with its hook, as it is committed or fast. */
export async function compileHookedCore(fast = false): Promise<WebAssembly.Module> {
  const { wasm } = await compileCore((name) => name === HOOKED ? HOOKED_SOURCE : hooked(readHouse(name)), fast);
  return new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>);
}

/** The same source with a hook for each atomic. All names stand on the first line, so that lines keep their numbers. */
function hooked(source: string): string {
  const names = new Set<string>();
  const changed = source.replace(/\batomic\.(\w+)</g, (_, name: string) => {
    names.add(`hooked_${name}`);
    return `hooked_${name}<`;
  });
  return names.size === 0 ? source : `import { ${[...names].join(", ")} } from "./hooked"; ${changed}`;
}
