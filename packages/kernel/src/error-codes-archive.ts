/** What is known of an error code beside its name. */
export interface Known {
  status: number;
  message: string;
  fix: string;
  retry?: boolean;
}

/** Codes of archives from strangers, and of what is written out of them. */
export const ARCHIVE_CODES = {
  ENTRY_PATH_UNSAFE: {
    status: 422,
    message: "An entry's path is absolute or climbs out of the target.",
    fix: "The archive is hostile or damaged: nothing of the entry was written.",
  },
  ENTRY_THROUGH_SYMLINK: {
    status: 422,
    message: "An entry would be written through a symbolic link.",
    fix: "The archive is hostile or damaged: nothing of the entry was written.",
  },
  LINK_OUTSIDE_ROOT: {
    status: 422,
    message: "A hard link points outside the target.",
    fix: "The archive is hostile or damaged: nothing of the entry was written.",
  },
  ENTRY_TYPE_DENIED: {
    status: 422,
    message: "An entry is of a type that is never restored.",
    fix: "The archive is hostile or damaged: nothing of the entry was written.",
  },
  ENTRY_CONFLICT: {
    status: 409,
    message: "An entry of this name exists already.",
    fix: "Choose another target or another overwrite policy.",
  },
  TARGET_OUTSIDE_ROOT: {
    status: 403,
    message: "The target lies outside the directory that may be written to.",
    fix: "Choose a target inside it.",
  },
  TARGET_NOT_EMPTY: {
    status: 409,
    message: "The target directory exists and is not empty.",
    fix: "Choose a fresh directory, or say what to do with existing files.",
  },
  ARCHIVE_MALFORMED: {
    status: 422,
    message: "The archive does not follow its format.",
    fix: "Use another snapshot or copy.",
  },
  ARCHIVE_TRUNCATED: { status: 422, message: "The archive ends too early.", fix: "Use another snapshot or copy." },
  TRAILING_DATA: { status: 422, message: "The archive has data after its end.", fix: "Use another snapshot or copy." },
  WINDOW_TOO_LARGE: {
    status: 422,
    message: "A compressed frame asks for more memory than is allowed.",
    fix: "The archive is hostile or damaged.",
  },
  EXPANSION_LIMIT: {
    status: 422,
    message: "A compressed frame expands beyond what it announced.",
    fix: "The archive is hostile or damaged.",
  },
} as const satisfies Record<string, Known>;
