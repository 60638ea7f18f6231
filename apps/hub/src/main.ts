import { failStart } from "@xvault/platform";
import { startHub } from "./hub.ts";

await startHub().catch(failStart);
