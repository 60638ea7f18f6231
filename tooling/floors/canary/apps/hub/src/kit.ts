// caught by: test-code-in-production
import "../../../packages/test-kit/src/index.ts";
