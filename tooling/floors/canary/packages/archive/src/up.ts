// caught by: floor-archive
import "../../api/src/index.ts";
