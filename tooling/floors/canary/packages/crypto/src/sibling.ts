// caught by: floor-crypto
import "../../archive/src/index.ts";
