import type { RequestBody, SendAnswer } from "../exporters/transport/transport.ts";
import { brokenAnswer } from "../exporters/transport/unsent.ts";
import { forwardedHops, HOP_HEADER } from "./hops.ts";
import type { Job } from "./lane_job.ts";
import type { LaneSetup } from "./lane_options.ts";

/** A transport answers within its deadline plus scheduling. One that does not is not waited for longer than this. */
export const ANSWER_GRACE_MS = 1000;

/** Sends. Resolves always, even where a transport breaks its word and throws, or never answers. */
export async function answerTo(job: Job, setup: LaneSetup, abort: AbortSignal): Promise<SendAnswer> {
  const { attemptTimeoutMs, destination, hopId, signal, sleep } = setup;
  const answered = new AbortController();
  const noAnswer = sleep(attemptTimeoutMs + ANSWER_GRACE_MS, answered.signal).then((): SendAnswer => ({
    status: "retryable",
    reason: "deadline",
    message: `no answer in ${attemptTimeoutMs + ANSWER_GRACE_MS} ms`,
    answerLost: true,
  }));
  try {
    const send = destination.send(bodyOf(job, setup), {
      signal,
      itemCount: job.itemCount,
      deadlineMs: attemptTimeoutMs,
      abort,
      headers: { [HOP_HEADER]: forwardedHops(job.entries[0]?.hops ?? "", hopId) },
    });
    return await Promise.race([send, noAnswer]);
  } catch (error) {
    return brokenAnswer(error);
  } finally {
    answered.abort("answered");
  }
}

function bodyOf({ piece, entries }: Job, { requests }: LaneSetup): RequestBody {
  if (piece !== undefined) return piece.body;
  const [first] = entries;
  return entries.length === 1 && first !== undefined
    ? first.payload
    : requests.merge(entries.map(({ payload }) => payload));
}
