// caught by: floor-platform
import "../../api/src/index.ts";
