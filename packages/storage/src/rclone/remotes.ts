/**
 * What kind of text a parameter takes:
 * - `host`: the name or address of a host; `url`: an http(s) URL. Both are connected to, so both are endpoints to be judged;
 * - `word`: letters, digits and a few marks, safe within a URL that rclone puts together;
 * - `text`: anything on one line;
 * - a list: one of these.
 * Secrets: `secret` as it is; `secretUrl` a URL that is itself a secret; `obscured` a password that rclone wants obscured.
 */
export type ParameterKind = "host" | "url" | "word" | "text" | "secret" | "secretUrl" | "obscured" | readonly string[];

interface RemoteType {
  parameters: Readonly<Record<string, ParameterKind>>;
  /** Set by us: what was removed must free its space, not lie in a bin. */
  fixed?: Readonly<Record<string, string>>;
}

const OAUTH = { client_id: "text", client_secret: "secret", token: "secret" } as const;
const BOOLEAN = ["true", "false"] as const;

/**
 * The remotes that a tenant may use, with the parameters that he may set. Left out on purpose: types that reach the worker's own machine or
 * wrap other remotes (local, alias, combine, union, crypt, chunker, compress, hasher, cache, memory, http, sia, hdfs), what cannot rename on
 * its own (netstorage), what hands out tokens that serve only once (box, jottacloud), and sftp, which checks host keys only against
 * a file of the worker's. Never a parameter: what names a file or a command, takes credentials from the worker's environment,
 * switches off the check of certificates, or sends a token elsewhere (token_url).
 */
export const REMOTE_TYPES: Readonly<Record<string, RemoteType>> = {
  azureblob: { parameters: { account: "word", key: "secret", sas_url: "secretUrl", endpoint: "url" } },
  b2: { parameters: { account: "word", key: "secret", endpoint: "url" }, fixed: { hard_delete: "true" } },
  drive: {
    parameters: {
      ...OAUTH,
      scope: ["drive", "drive.file", "drive.appfolder"],
      root_folder_id: "word",
      team_drive: "word",
    },
    fixed: { use_trash: "false", skip_gdocs: "true" },
  },
  dropbox: { parameters: { ...OAUTH } },
  fichier: { parameters: { api_key: "secret" } },
  filefabric: { parameters: { url: "url", root_folder_id: "word", permanent_token: "secret" } },
  ftp: {
    parameters: { host: "host", port: "word", user: "text", pass: "obscured", tls: BOOLEAN, explicit_tls: BOOLEAN },
  },
  hidrive: {
    parameters: {
      ...OAUTH,
      scope_access: ["rw"],
      scope_role: ["user", "admin", "owner"],
      root_prefix: ["/", "root", ""],
    },
  },
  internetarchive: { parameters: { access_key_id: "word", secret_access_key: "secret" } },
  koofr: {
    parameters: {
      provider: ["koofr", "digistorage", "other"],
      endpoint: "url",
      mountid: "word",
      user: "text",
      password: "obscured",
    },
  },
  mailru: { parameters: { user: "text", pass: "obscured" } },
  onedrive: {
    parameters: {
      ...OAUTH,
      region: ["global", "us", "de", "cn"],
      drive_id: "word",
      drive_type: ["personal", "business", "documentLibrary"],
    },
  },
  opendrive: { parameters: { username: "text", password: "obscured" } },
  pcloud: { parameters: { ...OAUTH, hostname: ["api.pcloud.com", "eapi.pcloud.com"], root_folder_id: "word" } },
  premiumizeme: { parameters: { api_key: "secret", token: "secret" } },
  putio: { parameters: { token: "secret" } },
  seafile: {
    parameters: {
      url: "url",
      user: "text",
      pass: "obscured",
      library: "text",
      library_key: "obscured",
      auth_token: "secret",
    },
  },
  sharefile: { parameters: { token: "secret", endpoint: "url", root_folder_id: "word" } },
  smb: { parameters: { host: "host", port: "word", user: "text", pass: "obscured", domain: "text" } },
  swift: {
    parameters: {
      user: "text",
      key: "secret",
      auth: "url",
      user_id: "word",
      domain: "text",
      tenant: "text",
      tenant_id: "word",
      tenant_domain: "text",
      region: "text",
      storage_url: "url",
      auth_token: "secret",
      application_credential_id: "word",
      application_credential_name: "text",
      application_credential_secret: "secret",
      auth_version: ["0", "1", "2", "3"],
      endpoint_type: ["public"],
      storage_policy: "word",
    },
  },
  uptobox: { parameters: { access_token: "secret" } },
  webdav: {
    parameters: {
      url: "url",
      vendor: ["nextcloud", "owncloud", "sharepoint", "sharepoint-ntlm", "other"],
      user: "text",
      pass: "obscured",
      bearer_token: "secret",
    },
  },
  yandex: { parameters: { ...OAUTH }, fixed: { hard_delete: "true" } },
  zoho: { parameters: { ...OAUTH, region: ["com", "eu", "in", "jp", "com.cn", "com.au"] } },
};
