import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

/** A folder of a test's own, empty and private, removed with all that is in it when the test is over. */
export class TemporaryFolder implements Disposable {
  readonly path: string = realpathSync(mkdtempSync(`${tmpdir()}/breakwater-`));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
