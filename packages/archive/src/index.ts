export { BLOCK_BYTES, MAX_LEAVES_BYTES, hashBlocks, type BlockHasher, type BlockHashes } from "./blocks/hash-blocks.ts";
export { merkleRoot } from "./blocks/merkle.ts";
export { verifiedReader, type ExpectedBlocks } from "./blocks/verified.ts";
export { openArtifact, type ArtifactReader, type EarlierArtifacts } from "./artifact/reader.ts";
export {
  createArtifactWriter,
  type ArtifactTotals,
  type ArtifactWriter,
  type ArtifactWriterOptions,
  type StoredBody,
} from "./artifact/writer.ts";
export { logicalBytes } from "./content.ts";
export { checkEntry } from "./extract/check.ts";
export { createLocalTarget } from "./extract/local-target.ts";
export { writeTarTo } from "./extract/tar-target.ts";
export { compressFrames, DEFAULT_FRAME_BYTES, type CompressOptions, type FrameSink } from "./frames/compress.ts";
export { openFrames } from "./frames/open.ts";
export { entryFromIndex, indexPath, type IndexEntry } from "./index/entry.ts";
export { readIndex, type IndexTotals } from "./index/lines.ts";
export { listDirectory, selectEntries, type IndexChild, type IndexDirectory, type Selected } from "./index/select.ts";
export { TAR_END, tarHeader, tarPadding } from "./tar/header.ts";
export { parseTar, type ParseTarOptions, type TarMember } from "./tar/parse.ts";
