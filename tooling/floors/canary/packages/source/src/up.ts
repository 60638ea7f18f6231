// caught by: floor-source
import "../../api/src/index.ts";
