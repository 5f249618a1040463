/** The header that names the Breakwater servers which forwarded a request. */
export const HOP_HEADER = "breakwater-hop";

/** More servers in a row than anybody needs, and few enough to end a circle of servers that do not know themselves. */
const HOPS_MAX = 8;

/** The ids in a `breakwater-hop` header, oldest first. */
export function parseHops(header: string | undefined): readonly string[] {
  if (header === undefined) return [];
  return header.split(",").map((id) => id.trim()).filter((id) => id !== "");
}

/** The hops of a request as they are kept with its record. */
export function formatHops(hops: readonly string[]): string {
  return hops.join(", ");
}

/** The header for a request that came over `hops`, as its record keeps them, and is forwarded by us. */
export function forwardedHops(hops: string, ownId: string): string {
  return hops === "" ? ownId : `${hops}, ${ownId}`;
}

/** Why a request that came over these hops goes round in a circle; undefined when it does not. */
export function loopIn(hops: readonly string[], ownId: string): string | undefined {
  if (hops.includes(ownId)) return `The request has been here before: "${HOP_HEADER}" has this server's id.`;
  if (hops.length > HOPS_MAX) {
    return `The request came over more than ${HOPS_MAX} servers: "${HOP_HEADER}" has ${hops.length}.`;
  }
  return undefined;
}
