// caught by: floor-db
import "../../api/src/index.ts";
