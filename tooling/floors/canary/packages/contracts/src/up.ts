// caught by: floor-contracts
import "../../api/src/index.ts";
