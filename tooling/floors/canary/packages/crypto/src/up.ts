// caught by: floor-crypto
import "../../api/src/index.ts";
