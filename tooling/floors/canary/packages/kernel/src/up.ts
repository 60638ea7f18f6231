// caught by: floor-kernel
import "../../api/src/index.ts";
