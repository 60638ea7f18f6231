// caught by: no-circle
import "./circle-a.ts";
