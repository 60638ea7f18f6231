import { XVaultError } from "@xvault/kernel";
import { hash, verify } from "@node-rs/argon2";

// The package's own name for it is a const enum, which type stripping cannot see.
const ARGON2ID = 2;
/** OWASP's first choice for argon2id on machines with little memory to spare: 19 MiB, two passes, one lane. */
const COST = { algorithm: ARGON2ID, memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const MIN_LENGTH = 10;
const MIN_DISTINCT = 4;

/** Those of the passwords found most often in leaks that are long enough to pass otherwise, and near kin. Lower case. */
const COMMON = new Set(
  `1234567890 0123456789 12345678910 123456789a 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc 1234qwerty 123qweasdzxc 9876543210 0987654321
  abcdefghij abcdefghijk abcd123456 abc1234567 administrator admin12345 admin123456 adminadmin asdfghjkl; asdfghjkl1 changeme12
  changeme123 default123 football12 iloveyou12 iloveyou123 letmein123 letmein1234 password01 password12 password123 password1234
  password12345 password123456 password1! password123! passw0rd12 passw0rd123 p@ssw0rd12 p@ssw0rd123 p@ssword123 passwordpassword
  princess12 q1w2e3r4t5 q1w2e3r4t5y6 qazwsxedcr qwerty1234 qwerty12345 qwerty123456 qwertyuiop qwertyuiop1 qwertyuiop123 qwertzuiop
  qwertzuiop1 azertyuiop secret1234 sunshine12 sunshine123 superman12 test123456 testtest12 testtesttest trustno1234 welcome123
  welcome1234 xvaultxvault xvault1234 zaq12wsxcde3 zxcvbnm123 zxcvbnm1234 correcthorsebatterystaple`.split(/\s+/),
);

/** The same password typed on two systems may differ in how accents are composed; this makes them one. */
function normalise(password: string): string {
  return password.normalize("NFKC");
}

/** Hashes a password with argon2id; the text holds salt and cost. */
export async function hashPassword(password: string): Promise<string> {
  return hash(normalise(password), COST);
}

let dummy: Promise<string> | undefined;

/**
 * True when the password belongs to the hash. For an unknown user give `undefined`: the same work is done and the answer is false,
 * so that the time taken does not tell who has an account.
 */
export async function verifyPassword(password: string, stored: string | undefined): Promise<boolean> {
  dummy ??= hashPassword("no password has this hash");
  const against = stored ?? (await dummy);
  const fits = await verify(against, normalise(password));
  return fits && stored !== undefined;
}

/** @throws PASSWORD_WEAK for under 10 characters, fewer than 4 different ones, or a password that is very common. */
export function checkPasswordStrength(password: string): void {
  const characters = [...normalise(password)];
  if (characters.length < MIN_LENGTH) {
    throw new XVaultError("PASSWORD_WEAK", `The password has fewer than ${MIN_LENGTH} characters.`);
  }
  const lower = characters.join("").toLowerCase();
  if (new Set(lower).size < MIN_DISTINCT || COMMON.has(lower.trim())) {
    throw new XVaultError("PASSWORD_WEAK", "The password is among the first that anyone would guess.");
  }
}
