// caught by: no-circle
import "./circle-b.ts";
