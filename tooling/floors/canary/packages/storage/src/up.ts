// caught by: floor-storage
import "../../api/src/index.ts";
