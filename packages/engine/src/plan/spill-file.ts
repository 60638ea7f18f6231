import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CIPHER = "chacha20-poly1305";
const TAG = 16;

/**
 * Pages of bytes for which there is no room in memory, in a file that has no name any more: it ends with the process, however that ends. Each
 * page is encrypted under a key that only this object knows. Reads and writes do not wait: they are of the page cache, a few times a run.
 */
export class SpillFile {
  readonly #file: number;
  readonly #key = randomBytes(32);
  readonly #pages: { at: number; length: number }[] = [];
  #end = 0;

  private constructor(file: number) {
    this.#file = file;
  }

  /** Null where the temporary folder takes no file. */
  static open(): SpillFile | null {
    const path = join(tmpdir(), `xvault-${randomBytes(12).toString("hex")}`);
    try {
      const file = openSync(path, "wx+", 0o600);
      unlinkSync(path);
      return new SpillFile(file);
    } catch {
      return null;
    }
  }

  /** Appends a page. @returns its number @throws whatever the disk says, ENOSPC most likely */
  write(plain: Buffer): number {
    const number = this.#pages.length;
    const cipher = createCipheriv(CIPHER, this.#key, nonce(number), { authTagLength: TAG });
    const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    for (let done = 0; done < sealed.length;)
      done += writeSync(this.#file, sealed, done, sealed.length - done, this.#end + done);
    this.#pages.push({ at: this.#end, length: sealed.length });
    this.#end += sealed.length;
    return number;
  }

  /** A page as it was written. Throws where the file does not give it back. */
  read(number: number): Buffer {
    const { at, length } = this.#pages[number] ?? { at: 0, length: TAG };
    const sealed = Buffer.allocUnsafe(length);
    for (let done = 0; done < length;) {
      const got = readSync(this.#file, sealed, done, length - done, at + done);
      if (got === 0) throw new RangeError("there is no such page");
      done += got;
    }
    const decipher = createDecipheriv(CIPHER, this.#key, nonce(number), { authTagLength: TAG });
    decipher.setAuthTag(sealed.subarray(length - TAG));
    return Buffer.concat([decipher.update(sealed.subarray(0, length - TAG)), decipher.final()]);
  }

  close(): void {
    closeSync(this.#file);
  }
}

function nonce(page: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(page);
  return bytes;
}
