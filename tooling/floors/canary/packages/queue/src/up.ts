// caught by: floor-queue
import "../../api/src/index.ts";
