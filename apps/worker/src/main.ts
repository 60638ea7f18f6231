import { failStart } from "@xvault/platform";
import { startWorker } from "./worker.ts";

await startWorker().catch(failStart);
