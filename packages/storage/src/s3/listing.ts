import type { ListObjectVersionsCommandOutput } from "@aws-sdk/client-s3";
import type { S3Connection } from "./connection.ts";

interface Listed {
  /** Names and sizes. */
  objects: { name: string; sizeBytes: number }[];
  /** What the names go on with up to the next '/'; with `folded` alone. */
  folders: string[];
}

/** The pages of what is called so. `folded`: what lies deeper is told as a folder. */
export async function* pages(connection: S3Connection, prefix: string, folded = false): AsyncGenerator<Listed> {
  let token: string | undefined;
  do {
    const page = await connection.call("list objects", "", (s3, http) =>
      s3.listObjectsV2(
        {
          Bucket: connection.bucket,
          Prefix: prefix,
          ...(folded ? { Delimiter: "/" } : {}),
          ...(token ? { ContinuationToken: token } : {}),
        },
        http,
      ),
    );
    yield {
      objects: (page.Contents ?? []).map(({ Key, Size }) => ({ name: Key ?? "", sizeBytes: Size ?? 0 })),
      folders: (page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix?.slice(prefix.length, -1) ?? ""),
    };
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (token);
}

/** One state of an object that a bucket with versions keeps, or the mark that stands where it was deleted. */
export interface Version {
  name: string;
  versionId: string;
}

/** Every version of what is called so. */
export async function* versions(connection: S3Connection, prefix: string): AsyncGenerator<Version[]> {
  interface Marker {
    KeyMarker: string;
    VersionIdMarker?: string;
  }
  let marker: Marker | undefined;
  do {
    const from: Marker | undefined = marker;
    const page: ListObjectVersionsCommandOutput = await connection.call("list versions", "", (s3, http) =>
      s3.listObjectVersions({ Bucket: connection.bucket, Prefix: prefix, ...from }, http),
    );
    yield [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map(({ Key, VersionId }) => ({
      name: Key ?? "",
      versionId: VersionId ?? "null",
    }));
    marker = undefined;
    if (page.IsTruncated !== true || !page.NextKeyMarker) continue;
    marker = { KeyMarker: page.NextKeyMarker };
    if (page.NextVersionIdMarker) marker.VersionIdMarker = page.NextVersionIdMarker;
  } while (marker);
}
