import { randomBytes, randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface ClusterPorts {
  /** The monitor's, in its newer and its older protocol. */
  monitor: number;
  monitorV1: number;
  gateway: number;
}

/** Where a cluster of one monitor, one OSD in memory and one gateway lies, and what its configuration says. */
export interface ClusterFiles {
  config: string;
  keyring: string;
  monitorMap: string;
  fsid: string;
  monitorAddress: string;
}

/** Writes configuration and keys of a cluster into `dir`. `tls` names a certificate and its key. */
export function writeCluster(
  dir: string,
  ports: ClusterPorts,
  tls: { certificate: string; key: string } | null,
): ClusterFiles {
  for (const name of ["mon", "osd", "run", "rgw"]) mkdirSync(join(dir, name));
  const files: ClusterFiles = {
    config: join(dir, "ceph.conf"),
    keyring: join(dir, "keyring"),
    monitorMap: join(dir, "monmap"),
    fsid: randomUUID(),
    monitorAddress: `[v2:127.0.0.1:${ports.monitor},v1:127.0.0.1:${ports.monitorV1}]`,
  };
  const frontend = tls
    ? `beast ssl_endpoint=127.0.0.1:${ports.gateway} ssl_certificate=${tls.certificate} ssl_private_key=${tls.key}`
    : `beast endpoint=127.0.0.1:${ports.gateway}`;
  writeFileSync(files.keyring, KEYRING.map(keyringEntry).join(""), { mode: 0o600 });
  writeFileSync(
    files.config,
    `[global]
fsid = ${files.fsid}
mon_initial_members = a
mon_host = ${files.monitorAddress}
public_network = 127.0.0.0/8
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
# With 'none' the gateway hangs.
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = ${files.keyring}
run_dir = ${dir}/run
admin_socket = ${dir}/run/$name.$pid.asok
log_file = ${dir}/$name.log
crash_dir = ${dir}
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
rgw_rados_pool_pg_num_min = 1
# Without these two the start takes 12 s.
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
[mon]
mon_data = ${dir}/mon
[osd]
osd_data = ${dir}/osd
osd_objectstore = memstore
memstore_device_bytes = ${8 * 1024 ** 3}
osd_class_load_list = *
osd_class_default_list = *
[client.rgw]
rgw_data = ${dir}/rgw
rgw_frontends = ${frontend}
`,
  );
  return files;
}

const KEYRING = [
  { name: "mon.", caps: ["mon = allow *"] },
  { name: "client.admin", caps: ["mon = allow *", "osd = allow *"] },
  { name: "osd.0", caps: ["mon = allow profile osd", "osd = allow *"] },
  { name: "client.rgw", caps: ["mon = allow rw", "osd = allow rwx"] },
];

function keyringEntry({ name, caps }: { name: string; caps: string[] }): string {
  const rights = caps.map((cap) => `\tcaps ${cap.replace(/= (.*)/, '= "$1"')}\n`);
  return `[${name}]\n\tkey = ${cephKey()}\n${rights.join("")}`;
}

/** A key as ceph-authtool would make it: AES (1), seconds and nanoseconds of its making, length, bytes; little-endian. */
function cephKey(): string {
  const head = Buffer.alloc(12);
  head.writeUInt16LE(1, 0);
  head.writeUInt32LE(Math.floor(Date.now() / 1000), 2);
  head.writeUInt16LE(16, 10);
  return Buffer.concat([head, randomBytes(16)]).toString("base64");
}
