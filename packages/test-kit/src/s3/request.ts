import { createHash, createHmac } from "node:crypto";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";

/** Who asks. */
export interface S3User {
  uid: string;
  accessKeyId: string;
  secretAccessKey: string;
}

/** A server, as plain data: it can be handed to another process. */
export interface S3Place {
  /** `http://127.0.0.1:PORT` or https. */
  endpoint: string;
  region: string;
  /** The certificate that an https endpoint presents. */
  caPem: string | null;
}

export interface S3Answer {
  status: number;
  body: string;
}

/**
 * Sends one request signed by AWS's Signature Version 4 and gives whatever the server answers. It is the tests' own, so that what a driver is held
 * against does not come from the SDK that the driver uses. `path` is `/bucket/key?query`, of characters that need no escape.
 */
export async function s3Request(
  place: S3Place,
  user: S3User,
  method: string,
  path: string,
  options: { body?: string | Buffer; headers?: Record<string, string> } = {},
): Promise<S3Answer> {
  const body = Buffer.from(options.body ?? "");
  const { host, pathname, searchParams } = new URL(path, place.endpoint);
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const headers: Record<string, string> = {
    ...options.headers,
    host,
    "content-md5": createHash("md5").update(body).digest("base64"),
    "x-amz-content-sha256": sha256(body),
    "x-amz-date": time,
  };
  const names = Object.keys(headers).toSorted();
  const query = [...searchParams].map((pair) => pair.map(encodeURIComponent).join("=")).toSorted();
  const canonical = [
    method,
    pathname,
    query.join("&"),
    ...names.map((name) => `${name}:${headers[name]?.trim()}`),
    "",
    names.join(";"),
    sha256(body),
  ].join("\n");
  const scope = `${time.slice(0, 8)}/${place.region}/s3/aws4_request`;
  const key = scope
    .split("/")
    .reduce<string | Buffer>((secret, part) => hmac(secret, part), `AWS4${user.secretAccessKey}`);
  const signature = hmac(key, ["AWS4-HMAC-SHA256", time, scope, sha256(Buffer.from(canonical))].join("\n"));
  headers["authorization"] =
    `AWS4-HMAC-SHA256 Credential=${user.accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature.toString("hex")}`;
  return send(new URL(`${pathname}?${query.join("&")}`, place.endpoint), method, headers, body, place.caPem);
}

function send(
  url: URL,
  method: string,
  headers: Record<string, string>,
  body: Buffer,
  caPem: string | null,
): Promise<S3Answer> {
  return new Promise((resolve, reject) => {
    const options = { method, headers: { ...headers, "content-length": String(body.length) } };
    const request =
      url.protocol === "https:" ? httpsRequest(url, { ...options, ca: caPem ?? undefined }) : httpRequest(url, options);
    request.once("error", reject).once("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    request.end(body);
  });
}

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();
