// caught by: floor-api
import "../../../apps/hub/src/main.ts";
