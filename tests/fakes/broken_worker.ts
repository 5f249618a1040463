/**
 * A worker that breaks in the way it is told: by the first byte of the body. Anything else is answered with an empty
 * request.
 */

import process from "node:process";
import { parentPort } from "node:worker_threads";

parentPort?.on("message", ({ body }: { body: ArrayBuffer }) => {
  switch (String.fromCharCode(new Uint8Array(body)[0])) {
    case "e":
      process.exit(3);
      break;
    case "h":
      for (;;) { /* Stuck. */ }
  }
  const payload = new Uint8Array(0);
  parentPort?.postMessage({ outcome: "decoded", payload, itemCount: 0, invalidCount: 0, sampledCount: 0 });
});
