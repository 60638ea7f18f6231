import { XVaultError } from "@xvault/kernel";
import { networkOf } from "@xvault/platform";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";

export interface AttemptLimits {
  /** Wrong passwords for one account from one address within 15 minutes. Default 10. */
  perAccount?: number;
  /** Wrong passwords for one account from anywhere within 15 minutes: more than one stranger can use up against its owner. Default 200. */
  perAccountFromAll?: number;
  /** Wrong passwords from one address (of IPv6, its first 64 bits) within 15 minutes, whatever the account. Default 50. */
  perAddress?: number;
  /** Accounts made from one address within an hour. Default 100. */
  signUpsPerAddress?: number;
}

/** Counts guesses at passwords. */
export interface AttemptLimiter {
  /** Counts an attempt before the password is looked at. @throws RATE_LIMITED with `data.retry_after_seconds`. */
  spend(account: string, address: string): Promise<void>;
  /** The password was right: the attempts of the account from this address are forgotten, and the others get this one back. */
  forgive(account: string, address: string): Promise<void>;
  /** @throws RATE_LIMITED */
  spendSignUp(address: string): Promise<void>;
}

const QUARTER_HOUR = 15 * 60;

/**
 * Counts in this process's memory: a restart forgets, and each further hub allows as many attempts again. With argon2id at every
 * attempt and a strength check at sign-up that is bearable; a shared store would put a write on every guess of an attacker.
 */
export function createAttemptLimiter(limits: AttemptLimits = {}): AttemptLimiter {
  const accounts = new RateLimiterMemory({ points: limits.perAccount ?? 10, duration: QUARTER_HOUR });
  const all = new RateLimiterMemory({ points: limits.perAccountFromAll ?? 200, duration: QUARTER_HOUR });
  const addresses = new RateLimiterMemory({ points: limits.perAddress ?? 50, duration: QUARTER_HOUR });
  const signUps = new RateLimiterMemory({ points: limits.signUpsPerAddress ?? 100, duration: 3600 });
  return {
    async spend(account, address) {
      const network = networkOf(address);
      await spendOne(addresses, network, "Too many sign-in attempts from this address.");
      await spendOne(accounts, `${network} ${account}`, "Too many sign-in attempts for this account.");
      await spendOne(all, account, "Too many sign-in attempts for this account.");
    },
    async forgive(account, address) {
      const network = networkOf(address);
      await accounts.delete(`${network} ${account}`);
      await all.reward(account, 1);
      await addresses.reward(network, 1);
    },
    spendSignUp: (address) => spendOne(signUps, networkOf(address), "Too many accounts were made from this address."),
  };
}

async function spendOne(limiter: RateLimiterMemory, key: string, message: string): Promise<void> {
  try {
    await limiter.consume(key);
  } catch (reason) {
    if (!(reason instanceof RateLimiterRes)) throw reason;
    const seconds = Math.ceil(reason.msBeforeNext / 1000);
    throw new XVaultError("RATE_LIMITED", message, {
      fix: `Wait ${Math.ceil(seconds / 60)} min and try again.`,
      data: { retry_after_seconds: seconds },
    });
  }
}
