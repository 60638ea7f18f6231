// caught by: known-floor
import "../../kernel/src/index.ts";
