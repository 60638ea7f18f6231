import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";

// `npm start`. What it is made of is compiled once and kept, so that the next start is a quick one.

enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/xvault-start", import.meta.url)));
const { main } = await import("./start/main.ts");
await main();
