/**
 * When a form's fields are checked, besides at its submission: while somebody types into one again. Not when a field is left: the error
 * that appears then moves what is below, and the click that made the person leave the field misses its button or link.
 */
export const VALIDATE_ON: "input"[] = ["input"];
