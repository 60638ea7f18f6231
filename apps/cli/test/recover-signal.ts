/** Loaded before the program: in the place of the nth rename, the process sends itself a signal. */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const { renameSync } = fs;
let left = Number(process.env["TEST_NTH"]);
fs.renameSync = (from, to) => {
  left -= 1;
  if (left === 0) process.kill(process.pid, process.env["TEST_SIGNAL"] ?? "SIGKILL");
  renameSync(from, to);
};
syncBuiltinESMExports();
