import { DiskJournal } from "../../../exporters/journal/disk_journal.ts";
import { RECORD_HEAD_BYTES } from "../../../exporters/journal/format.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { journalConformance } from "./journal_conformance.ts";

for (const fsync of ["never", "interval", "commit"] as const) {
  journalConformance(`DiskJournal, fsync ${fsync}, segments of 1 KiB`, {
    make: ({ clock = new FakeClock(), ...limits }) => {
      return DiskJournal.open("traces", {
        ...limits,
        fsync,
        folder: "/data/journal",
        segmentBytesMax: 1024,
        disk: new FakeDisk(),
        clock,
        sleep: clock.sleep,
      });
    },
    recordOverheadBytes: RECORD_HEAD_BYTES,
    hopsFactor: 1,
  });
}
