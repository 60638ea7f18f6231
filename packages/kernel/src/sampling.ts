/**
 * What a random sample of equal blocks says about all of them. A claim has the form 'with this confidence, less than this share is lost': were
 * as much as that share lost, a sample drawn without replacement would have met a lost block with at least that probability.
 */
export interface SampleGoal {
  /** Between 0 and 1, neither of them included: 0.999 for 'to 99.9 %'. */
  confidence: number;
  /** The share of the blocks, between 0 and 1, that is to be noticed: 0.001 for 'under 0.1 %'. */
  lostBelow: number;
}

/** The fewest lost blocks that are not less than the share: at least one, since less than one block cannot be lost. */
function fewestLost(blocks: number, lostBelow: number): number {
  // A product that should be whole may come out a hair above it.
  return Math.min(blocks, Math.max(1, Math.ceil(blocks * lostBelow - 1e-9)));
}

/** Logarithm of the probability that `sampled` blocks of `blocks`, `lost` of them bad, are all good (hypergeometric). */
function logMissed(blocks: number, sampled: number, lost: number): number {
  if (sampled > blocks - lost) return Number.NEGATIVE_INFINITY;
  const [few, many] = sampled < lost ? [sampled, lost] : [lost, sampled];
  let log = 0;
  for (let i = 0; i < few; i += 1) log += Math.log1p(-many / (blocks - i));
  return log;
}

/** How sure one may be, after `sampled` of `blocks` blocks were found good, that less than `lostBelow` of them is lost. 1 when all were read. */
export function sampleConfidence(blocks: number, sampled: number, lostBelow: number): number {
  if (sampled >= blocks) return 1;
  return -Math.expm1(logMissed(blocks, sampled, fewestLost(blocks, lostBelow)));
}

/** The fewest of `blocks` blocks that have to be found good to reach the goal. Few blocks are read wholly: there, less says little. */
export function blocksToSample(blocks: number, goal: SampleGoal): number {
  let [low, high] = [0, blocks];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (sampleConfidence(blocks, middle, goal.lostBelow) >= goal.confidence) high = middle;
    else low = middle + 1;
  }
  return high;
}

/**
 * The share of each of many objects' blocks that has to be read so that the goal is reached for all of them together, `blocks` in all, wherever
 * the lost ones lie: a sample of that share of an object misses n lost blocks in it with a probability of (1 − share)ⁿ at most, and so do the
 * samples of all objects with n lost blocks among them.
 */
export function shareToSample(blocks: number, goal: SampleGoal): number {
  if (blocks <= 0) return 1;
  return -Math.expm1(Math.log1p(-goal.confidence) / fewestLost(blocks, goal.lostBelow));
}

/** How many of an object's blocks a share of them is: at least one of any. */
export function sharedBlocks(blocks: number, share: number): number {
  return Math.min(blocks, Math.max(Math.min(1, blocks), Math.ceil(blocks * share - 1e-9)));
}

/**
 * The claim in words: '99.9 % sure that less than 0.1 % is lost'. Rounded so that it never claims more than was found. A share of 0 stands for a
 * sample that was all there is.
 */
export function sampleClaim(confidence: number, lostBelow: number): string {
  if (lostBelow === 0) return "certain that nothing is lost";
  const sure = confidence >= 1 ? "certain" : `${percent(confidence)} sure`;
  return `${sure} that less than ${percent(lostBelow, Math.ceil)} is lost`;
}

function percent(share: number, round: (value: number) => number = Math.floor): string {
  // Rounded to what is shown, after the machine's own rounding errors are taken off.
  return `${round(Number((share * 100_000).toFixed(6))) / 1000} %`;
}
