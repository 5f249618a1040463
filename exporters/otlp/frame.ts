import { endOfSize, uint32At, widthOf, writeUint32 } from "./wire.ts";

/** An encoded item and what it belongs to. */
export interface EncodedItem {
  /** The item's resource, as `encodeResource` writes it. */
  readonly resource: Uint8Array;
  /** The item's scope, as `encodeScope` writes it. */
  readonly scope: Uint8Array;
  /** A bare `Span` or `LogRecord`. */
  readonly message: Uint8Array;
}

/** An envelope and what is in it: items in a scope, scopes in a resource. */
interface Group<Member> {
  readonly envelope: Uint8Array;
  readonly members: Member[];
  /** What the members take, each with its tag and its length. */
  bytes: number;
}

/** The tag of the list in all three: of resources in a request it is 1, of scopes and of items in an envelope 2. */
const RESOURCES = 0x0a;
const MEMBERS = 0x12;

/**
 * Makes one OTLP request of encoded items of one signal, in memory of exactly its size that is not shared.
 *
 * Items of the same resource and scope are put together, in their order; resources, and the scopes in each, stand in
 * the order in which they first come. The same means the same array, not equal bytes: as in the stock serializers,
 * which go by the identity of the objects.
 */
export function frameRequest(items: Iterable<EncodedItem>): Uint8Array<ArrayBuffer> {
  const resources = groupItems(items);
  let size = 0;
  for (const resource of resources) {
    for (const scope of resource.members) resource.bytes += framedSize(sizeOf(scope));
    size += framedSize(sizeOf(resource));
  }
  const request = new Uint8Array(size);
  let pos = 0;
  for (const resource of resources) {
    pos = openGroup(request, pos, RESOURCES, resource);
    for (const scope of resource.members) {
      pos = openGroup(request, pos, MEMBERS, scope);
      for (const message of scope.members) {
        pos = writeHeader(request, pos, MEMBERS, message.length);
        request.set(message, pos);
        pos += message.length;
      }
      pos = closeGroup(request, pos, scope);
    }
    pos = closeGroup(request, pos, resource);
  }
  return request;
}

type ScopeGroup = Group<Uint8Array>;
type ResourceGroup = Group<ScopeGroup>;

function groupItems(items: Iterable<EncodedItem>): readonly ResourceGroup[] {
  const resources = new Map<Uint8Array, { group: ResourceGroup; scopes: Map<Uint8Array, ScopeGroup> }>();
  for (const { resource, scope, message } of items) {
    let found = resources.get(resource);
    if (found === undefined) {
      found = { group: { envelope: resource, members: [], bytes: 0 }, scopes: new Map() };
      resources.set(resource, found);
    }
    let group = found.scopes.get(scope);
    if (group === undefined) {
      group = { envelope: scope, members: [], bytes: 0 };
      found.scopes.set(scope, group);
      found.group.members.push(group);
    }
    group.members.push(message);
    group.bytes += framedSize(message.length);
  }
  return Array.from(resources.values(), ({ group }) => group);
}

function sizeOf({ envelope, bytes }: Group<unknown>): number {
  return envelope.length + bytes;
}

/** What a message of that size takes with its tag and its length. */
function framedSize(size: number): number {
  return 1 + widthOf(size) + size;
}

/** Writes the envelope up to where its members go; gives the position after it. */
function openGroup(request: Uint8Array, at: number, tag: number, group: Group<unknown>): number {
  const pos = writeHeader(request, at, tag, sizeOf(group));
  const head = headOf(group.envelope);
  request.set(head, pos);
  return pos + head.length;
}

/** Writes what of the envelope comes after its members. */
function closeGroup(request: Uint8Array, at: number, { envelope }: Group<unknown>): number {
  const tail = envelope.subarray(headOf(envelope).length);
  request.set(tail, at);
  return at + tail.length;
}

/** The first field of an envelope, the resource or scope itself: its members come between it and the schema URL. */
function headOf(envelope: Uint8Array): Uint8Array {
  const start = endOfSize(envelope, 1, envelope.length);
  return envelope.subarray(0, start + uint32At(envelope, 1, start));
}

function writeHeader(request: Uint8Array, at: number, tag: number, size: number): number {
  request[at] = tag;
  return writeUint32(request, at + 1, size);
}
