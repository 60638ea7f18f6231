import { shallowRef } from "vue";

interface Prompt {
  /** Tries the password. Rejects when it is wrong: then the dialog stays. */
  submit(password: string): Promise<void>;
  done(): void;
  cancel(): void;
}

/** What the dialog shows: one question at a time for the whole page. */
export const passwordPrompt = shallowRef<Prompt | null>(null);

let open: Promise<void> | null = null;

/** Opens the dialog and resolves when `submit` accepted a password. Rejects when the person closes it. */
export function askForPassword(submit: (password: string) => Promise<void>): Promise<void> {
  open ??= new Promise<void>((resolve, reject) => {
    passwordPrompt.value = { submit, done: resolve, cancel: () => reject(new Error("The password was not given.")) };
  }).finally(() => {
    passwordPrompt.value = null;
    open = null;
  });
  return open;
}
