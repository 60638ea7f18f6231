/** What the newcomer sees: one line a step, redrawn while it works where the console can. */
export interface Show {
  step(text: string): { done(text?: string): void; update(text: string): void; fail(): void };
  line(text?: string): void;
}

export function createShow(out: NodeJS.WriteStream = process.stdout): Show {
  const live = out.isTTY === true;
  return {
    line: (text = "") => void out.write(`${text}\n`),
    step: (text) => {
      const started = Date.now();
      let current = text;
      const seconds = () => ((Date.now() - started) / 1000).toFixed(1);
      const draw = () => out.write(`\r\u001b[2K  … ${current}  ${seconds()} s`);
      const timer = live ? setInterval(draw, 250) : undefined;
      const end = (mark: string, final: string) => {
        clearInterval(timer);
        out.write(`${live ? "\r\u001b[2K" : ""}  ${mark} ${final}  ${seconds()} s\n`);
      };
      return {
        update: (next) => {
          current = next;
        },
        done: (final = current) => end("✓", final),
        fail: () => end("✗", current),
      };
    },
  };
}

/** Something that the newcomer can mend: said without a stack. */
export class StartError extends Error {
  readonly fix: string;
  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}
