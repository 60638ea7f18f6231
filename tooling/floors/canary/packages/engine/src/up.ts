// caught by: floor-engine
import "../../api/src/index.ts";
