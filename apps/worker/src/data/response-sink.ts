import { type ByteSink, XVaultError } from "@xvault/kernel";
import { once } from "node:events";
import type { ServerResponse } from "node:http";

/**
 * A response as a sink: its client's speed is the backpressure, its going away an error. `begin` writes the head, just before the first
 * byte: what fails before that can still be answered as an error.
 */
export function responseSink(response: ServerResponse, begin: () => void = () => {}): ByteSink {
  let begun = false;
  const head = () => {
    if (!begun) begin();
    begun = true;
  };
  return {
    async write(chunk) {
      head();
      if (response.destroyed) throw new XVaultError("CANCELLED", "The client went away.");
      if (!response.write(chunk)) {
        const gone = new AbortController();
        const onClose = () => gone.abort();
        response.once("close", onClose);
        try {
          await once(response, "drain", { signal: gone.signal });
        } catch (cause) {
          throw new XVaultError("CANCELLED", "The client went away.", { cause });
        } finally {
          response.off("close", onClose);
        }
      }
    },
    async close() {
      head();
      await new Promise<void>((resolve) => response.end(resolve));
    },
  };
}
