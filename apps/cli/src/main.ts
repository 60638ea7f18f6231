import { runCli } from "./cli.ts";
import { readEnvironment } from "./environment.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { showFailure } from "./output.ts";
import { processWorld } from "./world.ts";

const bare = processWorld({ ...readEnvironment({}), configFile: "" });
// A reader that goes away ('xvault ls | head') is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  process.exitCode = await runCli(process.argv.slice(2), processWorld(readEnvironment()));
} catch (error) {
  showFailure(bare, error, { json: process.argv.includes("--json") });
  process.exitCode = exitCodeOf(error);
}
