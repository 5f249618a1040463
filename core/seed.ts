import type { Clock } from "./clock.ts";

/** Seeds made in this thread: what tells two apart that were made at the same time. */
let madeCount = 0;

/**
 * A seed that is another each time: from a clock's two readings, which tell threads and processes apart, and from how
 * many were made before. Two made at one time differ for certain, because each step of the mixing can be undone.
 */
export function freshSeed(clock: Clock): number {
  const readings = new Uint32Array(new Float64Array([clock.nowMs(), clock.wallMs()]).buffer);
  let seed = 0;
  for (const word of readings) seed = mixed(seed ^ word);
  return mixed(seed ^ madeCount++);
}

/** Murmur3's last step: each bit of `word` changes half of the bits of the answer. */
function mixed(word: number): number {
  let bits = word ^ (word >>> 16);
  bits = Math.imul(bits, 0x85eb_ca6b);
  bits ^= bits >>> 13;
  bits = Math.imul(bits, 0xc2b2_ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
