/** Threads of the byte ring that stop, or die, before each of their atomics. */

import assert from "node:assert/strict";
import { atEachPlace, ByteRing, byteRingFrom, interrupt, killAt } from "../fakes/hooked_ring.ts";
import type { ByteRingConsumer, ByteRingOptions, RingRecord } from "../../core/byte_ring.ts";

type Ring = InstanceType<typeof ByteRing>;

/** Shortly before everything goes round, so that it does within each test. */
const BEGINNING = { ordinal: 2 ** 32 - 3, position: 2 ** 32 - 40 };

const ROOMY: ByteRingOptions = { itemsMax: 8, bytesMax: 256 };
const TIGHT: ByteRingOptions = { itemsMax: 3, bytesMax: 256, overflow: "drop_oldest" };

/** A ring with records 1 and 2 in it, of which another thread has the object `other`. */
function sharedRing(options: ByteRingOptions) {
  const ring = byteRingFrom(options, BEGINNING);
  const lent = ring.lend();
  const other = ByteRing.attach(lent.handle);
  push(ring, 1);
  push(ring, 2);
  return { ring, lent, other };
}

function record(tag: number): RingRecord {
  return { bytes: Uint8Array.from({ length: tag % 20 }, () => tag), tag };
}

function push(ring: Ring, tag: number): string {
  const { bytes } = record(tag);
  return ring.push(bytes, tag);
}

/** Tags of all that comes out, each with the bytes that belong to it. */
function drained(consumer: ByteRingConsumer): number[] {
  const tags: number[] = [];
  for (let batch = consumer.drain(); batch.itemCount > 0; batch = consumer.drain()) {
    for (const { bytes, tag } of batch) {
      assert.deepEqual(Uint8Array.from(bytes), record(tag).bytes);
      tags.push(tag);
    }
    assert.ok(consumer.release());
  }
  return tags;
}

function assertConserved(ring: Ring): void {
  const { offered, accepted, drained, queued, dropped } = ring.counters;
  assert.equal(offered, accepted + dropped.full + dropped.tooLarge);
  assert.equal(accepted, drained + queued + dropped.oldest + dropped.abandoned);
}

const OFFERS = [
  { what: "a record", options: ROOMY, tags: [3] },
  { what: "a group", options: { ...ROOMY, overflow: "reject" }, tags: [3, 4, 5] },
] as const;
for (const { what, options, tags } of OFFERS) {
  const offer = (ring: Ring) => {
    if (tags.length === 1) push(ring, tags[0]);
    else ring.pushAll(tags.map(record));
  };

  Deno.test(`who dies while it offers ${what}, at any place, takes exactly that with it`, () => {
    const met = new Set<number>();
    const places = atEachPlace((place) => {
      const { ring, lent, other } = sharedRing(options);
      const died = killAt(place, () => offer(other));
      assert.equal(push(ring, 7), "accepted");
      const consumer = ring.consume();
      const before = drained(consumer);
      assert.equal(lent.reclaim(), 1);
      assertConserved(ring);
      const after = drained(consumer);
      const { abandoned } = ring.counters.dropped;
      met.add(abandoned);
      if (!died) assert.deepEqual([before, after, abandoned], [[1, 2, ...tags, 7], [], 0]);
      else if (abandoned === 0) assert.deepEqual([before, after], [[1, 2, 7], []]);
      else assert.deepEqual([before, after], [[1, 2], [7]], "until it is known to be dead it is waited for");
      assertConserved(ring);
      assert.equal(ring.counters.queued, 0);
      assert.equal(ring.counters.queuedBytes, 0);
      assert.equal(ring.counters.offered, 3 + (died && abandoned === 0 ? 0 : tags.length));
      assert.equal(push(other, 9), "detached");
      // The ring is as good as before, more than once round.
      for (let tag = 10; tag < 40; tag++) {
        assert.equal(push(ring, tag), "accepted");
        assert.deepEqual(drained(consumer), [tag]);
      }
      return died;
    });
    assert.ok(places >= 6, `${places} places`);
    assert.deepEqual(met, new Set([0, tags.length]));
  });

  Deno.test(`who is slow while it offers ${what}, at any place, is waited for, and others pass it`, () => {
    const places = atEachPlace((place) => {
      const { ring, other } = sharedRing(options);
      const consumer = ring.consume();
      let meanwhile: number[] = [];
      const slept = interrupt(place, () => offer(other), () => {
        for (const tag of [6, 7]) assert.equal(push(ring, tag), "accepted");
        meanwhile = drained(consumer);
      });
      const all = [...meanwhile, ...drained(consumer)];
      assert.deepEqual(all.filter((tag) => !(tags as readonly number[]).includes(tag)), slept ? [1, 2, 6, 7] : [1, 2]);
      assert.deepEqual(all.filter((tag) => (tags as readonly number[]).includes(tag)), tags);
      assert.equal(ring.counters.dropped.abandoned, 0);
      assert.equal(ring.counters.drained, all.length);
      assertConserved(ring);
      return slept;
    });
    assert.ok(places >= 6, `${places} places`);
  });
}

Deno.test("who dies while it offers, and nobody offers anything after, leaves an empty ring once it is drained", () => {
  atEachPlace((place) => {
    const { ring, lent, other } = sharedRing(ROOMY);
    const died = killAt(place, () => void push(other, 3));
    lent.reclaim();
    assert.deepEqual(drained(ring.consume()), died ? [1, 2] : [1, 2, 3]);
    assert.equal(ring.counters.queued, 0);
    assert.equal(ring.counters.queuedBytes, 0);
    assertConserved(ring);
    return died;
  });
});

Deno.test("who is overtaken by whole rounds of the ring, at any place, finds its way back", () => {
  const places = atEachPlace((place) => {
    const { ring, other } = sharedRing({ itemsMax: 4, bytesMax: 256 });
    const consumer = ring.consume();
    const [accepted, all]: [number[], number[]] = [[1, 2], []];
    const slept = interrupt(place, () => assert.equal(push(other, 3), "accepted"), () => {
      for (let tag = 10; tag < 21; tag++) {
        if (tag % 4 === 2) all.push(...drained(consumer));
        if (push(ring, tag) === "accepted") accepted.push(tag);
      }
    });
    all.push(...drained(consumer));
    assert.deepEqual(all.filter((tag) => tag !== 3), accepted);
    assert.ok(all.includes(3));
    assert.equal(ring.counters.accepted, all.length);
    assertConserved(ring);
    return slept;
  });
  assert.ok(places >= 6, `${places} places`);
});

Deno.test("who dies while it makes room, at any place, is counted once for each record that went", () => {
  const places = atEachPlace((place) => {
    const { ring, lent, other } = sharedRing(TIGHT);
    push(ring, 3);
    const died = killAt(place, () => void push(other, 4));
    lent.reclaim();
    assertConserved(ring);
    for (const tag of [5, 6]) assert.equal(push(ring, tag), "accepted");
    assertConserved(ring);
    const tags = drained(ring.consume());
    const { oldest, abandoned } = ring.counters.dropped;
    const accepted = died ? 5 + abandoned : 6;
    assert.equal(ring.counters.accepted, accepted);
    assert.equal(tags.length, accepted - oldest - abandoned, "what is missing is what was counted");
    assert.deepEqual(tags, [1, 2, 3, ...(died ? [] : [4]), 5, 6].slice(-tags.length));
    return died;
  });
  assert.ok(places >= 14, `${places} places`);
});

Deno.test("what a thread that died was taking away is not drained by a new consumer", () => {
  atEachPlace((place) => {
    const { ring, lent, other } = sharedRing(TIGHT);
    push(ring, 3);
    const died = killAt(place, () => void push(other, 4));
    const consumer = ring.consume(); // before anything else looks at the ring
    lent.reclaim();
    const tags = drained(consumer);
    const { accepted, dropped: { oldest, abandoned } } = ring.counters;
    assert.equal(tags.length, accepted - oldest - abandoned);
    assert.equal(tags.includes(1), oldest === 0);
    assertConserved(ring);
    return died;
  });
});

Deno.test("two make room at once, at any place of each: no record is dropped twice or uncounted", () => {
  const places = atEachPlace((outer) => {
    let isReached = false;
    atEachPlace((inner) => {
      const { ring, other } = sharedRing(TIGHT);
      const third = ByteRing.attach(ring.handle);
      push(ring, 3);
      let isReachedToo = false;
      isReached = interrupt(outer, () => assert.equal(push(other, 4), "accepted"), () => {
        isReachedToo = interrupt(
          inner,
          () => assert.equal(push(ring, 5), "accepted"),
          () => void push(third, 6), // the ring may be full of records that are not whole
        );
      });
      assertConserved(ring);
      const { accepted, dropped } = ring.counters;
      const tags = drained(ring.consume());
      assert.equal(tags.length, accepted - dropped.oldest);
      assert.equal(new Set(tags).size, tags.length);
      assert.ok(dropped.oldest + dropped.full >= (isReached ? 2 : 1));
      return isReachedToo;
    });
    return isReached;
  });
  assert.ok(places >= 14, `${places} places`);
});

const TASKS = {
  drains: (consumer: ByteRingConsumer) => void consumer.drain(),
  releases: (consumer: ByteRingConsumer) => void consumer.release(),
};
for (const [what, task] of Object.entries(TASKS)) {
  for (const options of [ROOMY, TIGHT]) {
    const { overflow = "drop_newest" } = options;
    Deno.test(`a consumer that dies while it ${what}, at any place, leaves each record to the next or released (${overflow})`, () => {
      atEachPlace((place) => {
        const { ring } = sharedRing(options);
        const first = ring.consume();
        if (what === "releases") first.drain();
        const died = killAt(place, () => task(first));
        const before = ring.counters.drained;
        const second = ring.consume();
        assert.equal(first.release(), false);
        assert.equal(push(ring, 3), "accepted");
        const tags = drained(second);
        assert.deepEqual(tags, [1, 2, 3].slice(before));
        assert.equal(ring.counters.drained, 3);
        assertConserved(ring);
        return died;
      });
    });
  }
}

Deno.test("a consumer that is replaced while it drains or releases, at any place, moves nothing any more", () => {
  const places = atEachPlace((place) => {
    const { ring } = sharedRing(ROOMY);
    const first = ring.consume();
    let second = first;
    let meanwhile: number[] = [];
    const wasReplaced = interrupt(place, () => {
      first.drain();
      first.release();
    }, () => {
      second = ring.consume();
      meanwhile = [...second.drain()].map(({ tag }) => tag);
      push(ring, 3);
    });
    if (!wasReplaced) return false;
    assert.deepEqual(first.drain().itemCount, 0);
    assert.equal(first.release(), false);
    assert.equal(first.isReplaced, true);
    assert.equal(ring.counters.queued, meanwhile.length + 1, "what the second one holds is in the ring");
    assert.ok(second.release());
    assert.deepEqual(drained(second), [3]);
    assert.equal(ring.counters.drained, 3);
    return true;
  });
  assert.ok(places >= 8, `${places} places`);
});

Deno.test("an attachment that was reclaimed is given to another only when the ring has passed what it left", () => {
  const { ring, lent, other } = sharedRing(ROOMY);
  for (let place = 0; ring.counters.accepted === 2; place++) killAt(place, () => void push(other, 3));
  lent.reclaim();
  const attachAll = () => {
    const attached: Ring[] = [];
    assert.throws(() => {
      while (attached.length < 100) attached.push(ByteRing.attach(ring.handle));
    }, { message: "Cannot attach byte ring: all 64 attachments are taken" });
    return attached;
  };
  const attached = attachAll();
  assert.equal(attached.length, 62);
  assert.deepEqual(drained(ring.consume()), [1, 2]);
  assert.equal(attachAll().length, 1);
  attached[0]!.detach();
  assert.equal(attachAll().length, 1);
});

Deno.test("a worker that still runs when it is reclaimed, and dies later, at any places, holds up nothing", () => {
  const places = atEachPlace((reclaimed) => {
    let isReached = false;
    atEachPlace((died) => {
      const { ring, lent, other } = sharedRing(ROOMY);
      let answer = "";
      const isDead = killAt(died, () => {
        isReached = interrupt(reclaimed, () => answer = push(other, 3), () => lent.reclaim());
      });
      lent.reclaim();
      assert.equal(push(ring, 5), "accepted");
      const isWhole = answer === "accepted";
      const consumer = ring.consume();
      assert.deepEqual([...drained(consumer), ...drained(consumer)], isWhole ? [1, 2, 3, 5] : [1, 2, 5]);
      const { accepted, dropped: { abandoned } } = ring.counters;
      assert.equal(accepted - abandoned, isWhole ? 4 : 3);
      assertConserved(ring);
      assert.equal(push(other, 6), "detached");
      return isDead;
    });
    return isReached;
  });
  assert.ok(places >= 6, `${places} places`);
});
