/** Sends that many spans of one trace as OTLP/JSON to a server's base URL. @returns The status of the answer. */
export async function sendSpans(
  url: string,
  spanCount: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<number> {
  const spans = Array.from({ length: spanCount }, (_, index) => ({
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: (index + 1).toString(16).padStart(16, "0"),
    name: "work",
    kind: 1,
    startTimeUnixNano: "1",
    endTimeUnixNano: "2",
  }));
  const response = await fetch(`${url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] }),
  });
  await response.body?.cancel();
  return response.status;
}
