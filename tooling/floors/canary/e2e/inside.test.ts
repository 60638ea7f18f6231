// caught by: e2e-is-a-black-box
import "../packages/kernel/src/index.ts";
