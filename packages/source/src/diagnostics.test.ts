import { describe, expect, it } from "vitest";
import { readFindLine, readTarLine, unescapeName } from "./diagnostics.ts";

const line = (text: string) => Buffer.from(text, "latin1");
const short = (problem: ReturnType<typeof readTarLine> | null) =>
  problem && typeof problem === "object" ? `${problem.kind} ${problem.path.toString("latin1")}` : problem;

describe("what GNU tools say", () => {
  it("is read byte for byte", () => {
    expect(unescapeName(line('a\\nb\\\\n\\377\\033 \\"')).toString("latin1")).toBe('a\nb\\n\xff\x1b "');
  });

  it("of find", () => {
    expect(short(readFindLine(line("find: '/root/x': Permission denied")))).toBe("denied /root/x");
    expect(short(readFindLine(line("find: '/it\\'s: gone': No such file or directory")))).toBe("vanished /it's: gone");
    expect(short(readFindLine(line("find: '/x': Input/output error")))).toBe("unreadable /x");
    expect(readFindLine(line("xargs: sh: No such file or directory"))).toBe(null);
  });

  it("of tar", () => {
    const said = {
      "tar: etc/shadow: Cannot open: Permission denied": "denied /etc/shadow",
      "tar: etc/shadow: Warning: Cannot open: Permission denied": "denied /etc/shadow",
      "tar: a: Cannot open: b: Warning: Cannot stat: No such file or directory": "vanished /a: Cannot open: b",
      "tar: x: File removed before we read it": "vanished /x",
      "tar: x\\n: file changed as we read it": "changed /x\n",
      "tar: x: File shrank by 12 bytes; padding with zeros": "changed /x",
      "tar: x: File shrank by 1 byte; padding with zeros": "changed /x",
      "tar: x: Warning: Read error at byte 0, while reading 512 bytes: Input/output error": "unreadable /x",
      "tar: x: socket ignored": "noise",
      "tar: Exiting with failure status due to previous errors": "noise",
      "tar: unrecognized option": "unknown",
    };
    for (const [text, expected] of Object.entries(said)) expect(short(readTarLine(line(text))), text).toBe(expected);
  });
});
