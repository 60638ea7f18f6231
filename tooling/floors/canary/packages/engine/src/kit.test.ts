// caught by: nothing
import "../../test-kit/src/index.ts";
