#!/usr/bin/env python3
"""Reads an xVault snapshot without xVault: written from docs/FORMAT.md alone, to show that it can be.

  read_snapshot.py --identity KIT check|list|restore SNAPSHOT_DIRECTORY [NEW_DIRECTORY [PATH]]

Needs Python 3.8, bash, age, zstd, and openssl 3 for signatures. Without openssl, or a root key in the recovery kit, it says that
signatures are NOT checked, and checks the rest. Artifacts are read twice: to check them, and to use them."""
import argparse, base64, hashlib, json, os, re, shutil, stat, subprocess, sys, tempfile
from datetime import datetime
from pathlib import Path

STEP = 1 << 20

def refuse(what):
    sys.exit("refused: " + what)

def canonical(document):
    """RFC 8785, for what manifests hold: members in ASCII, strings and whole numbers."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

def check_signature(document, line, public_key):
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    key = bytes.fromhex("302a300506032b6570032100") + base64.b64decode(public_key)  # RFC 8410
    signature = base64.b64decode(document["signature"], validate=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, data in ("key", key), ("message", line + canonical(unsigned)), ("signature", signature):
            Path(folder, name).write_bytes(data)
        command = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message -sigfile signature"
        good = subprocess.run(command.split(), cwd=folder, capture_output=True).returncode == 0
        good or refuse("a signature is wrong, or by a key that is not known here")

def read_manifest(directory, root_keys, sha256=None):
    raw = (directory / "manifest.json").read_bytes()
    manifest = json.loads(raw)
    manifest["format"] == 1 or refuse("format %r is not known here" % manifest["format"])
    meant = manifest["snapshot_id"] == directory.name and sha256 in (None, hashlib.sha256(raw).hexdigest())
    meant and canonical(manifest) == raw or refuse("the manifest in %s is not the one that was meant" % directory)
    if root_keys:
        certificate = manifest["certificate"]
        ids = {hashlib.sha256(base64.b64decode(key)).hexdigest()[:16]: key for key in root_keys}
        check_signature(certificate, b"xvault certificate v1\n", ids.get(certificate["issuer"], ""))
        check_signature(manifest, b"xvault manifest v1\n", certificate["public_key"])
        times = certificate["not_before"], manifest["created_at"], certificate["not_after"]
        moments = [datetime.fromisoformat(time.replace("Z", "+00:00")) for time in times]
        counts = moments == sorted(moments) and certificate["worker_id"] == manifest["worker_id"]
        counts or refuse("the certificate does not count for this manifest")
    return manifest

def merkle_root(leaves):
    """RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\0" + leaves[0] if leaves else b"").digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + merkle_root(leaves[:split]) + merkle_root(leaves[split:])).digest()

def check_object(directory, said):
    """Holds an artifact or an index against its manifest; gives the hashes of its blocks."""
    whole, blocks = hashlib.sha256(), []
    with open(directory / said["name"], "rb") as file:
        header = hashlib.sha256(file.read(said["header_bytes"])).hexdigest()
        file.seek(0)
        for block in iter(lambda: file.read(STEP), b""):
            whole.update(block)
            blocks.append(hashlib.sha256(block).digest())
        size = file.tell()
    same = (size, whole.hexdigest(), header) == (said["size_bytes"], said["sha256"], said["header_sha256"])
    return blocks if same else refuse("%s in %s is not what was signed" % (said["name"], directory))

def check_artifact(directory, manifest):
    leaves, told = check_object(directory, manifest["artifact"]), manifest["blocks"]
    listed = told["block_bytes"] == STEP and b"".join(leaves) == (directory / told["name"]).read_bytes()
    listed and merkle_root(leaves).hex() == told["root"] or refuse("%s: blocks that were not signed" % directory)

class Plain:
    """What an age file of zstd frames holds, read from front to back."""
    def __init__(self, path, identity):
        pipe = 'set -o pipefail; age -d -i "$0" "$1" | zstd -dcq'
        self.run = subprocess.Popen(["bash", "--norc", "-c", pipe, identity, path], stdout=subprocess.PIPE)
        self.at = 0
    def pieces(self, start, length):
        """The bytes from `start`, which must not lie behind what was read already."""
        while self.at < start + length:
            upto = start if self.at < start else start + length
            piece = self.run.stdout.read(min(STEP, upto - self.at)) or refuse("the data ends too early")
            self.at += len(piece)
            if self.at > start: yield piece
    def end(self):
        while self.run.stdout.read(STEP): pass
        self.run.wait() == 0 or refuse("age or zstd found damage, or no identity fits")

def name_of(entry, key="path"):
    return base64.b64decode(entry[key + "_b64"]) if key + "_b64" in entry else entry[key].encode()

def read_index(directory, manifest, identity):
    check_object(directory, manifest["index"])
    plain = Plain(directory / "index.zst.enc", identity)
    lines = [json.loads(line) for line in plain.run.stdout]
    plain.end()
    whole = lines[0] == {"format": 1, "kind": "xvault-index"} and lines[-1].get("entries") == len(lines) - 2
    whole or refuse("the index is not whole")
    for entry in lines[1:-1]:
        for path in [name_of(entry)] + ([name_of(entry, "link")] if entry["type"] == "hardlink" else []):
            (b"\0" in path or {b"", b".", b".."} & set(path.split(b"/"))) and refuse("unsafe path %r" % path)
    return lines[1:-1]

def make_parents(root, path):
    for parent in [os.path.join(root, path[:at]) for at, byte in enumerate(path) if byte == 0x2F]:
        if not os.path.lexists(parent):
            os.mkdir(parent, 0o700)
        elif not stat.S_ISDIR(os.lstat(parent).st_mode):
            refuse("%r would be written through something that is no directory" % path)

def set_facts(full, entry):
    seconds, _, fraction = entry["mtime"].partition(".")
    ns, mode = int(seconds + fraction.ljust(9, "0")[:9]), int(entry["mode"], 8)
    if os.geteuid() == 0:
        os.chown(full, entry["uid"], entry["gid"], follow_symlinks=False)
    elif entry["type"] == "file":  # set-id bits are for the owner who was meant
        mode &= ~((entry["uid"] != os.geteuid() and 0o4000) | (entry["gid"] != os.getegid() and 0o2000))
    if entry["type"] != "symlink": os.chmod(full, mode)
    os.utime(full, ns=(ns, ns), follow_symlinks=False)

def write_file(full, entry, plain):
    content, at, reached = hashlib.sha256(), entry["body_offset"], 0
    with open(os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for offset, length in entry.get("sparse", [[0, entry["size"]]]) + [[entry["size"], 0]]:
            for hole in range(reached, offset, STEP):
                content.update(bytes(min(STEP, offset - hole)))
            file.seek(offset)
            for piece in plain.pieces(at, length):
                content.update(piece)
                file.write(piece)
            at, reached = at + length, offset + length
        file.truncate(entry["size"])
    if content.hexdigest() != entry["sha256"]:
        os.unlink(full)
        refuse("the content of %r is not what was backed up" % name_of(entry))

def restore(directory, entries, options):
    """Directories, then files, artifact by artifact in the order of their bytes, then links; facts of directories last."""
    root, wanted = os.fsencode(options.target), os.fsencode(options.path or "").strip(b"/")
    held = {name_of(entry): entry for entry in entries}
    chosen = {p: e for p, e in held.items() if not wanted or p == wanted or p.startswith(wanted + b"/")}
    chosen or not wanted or refuse("the snapshot has nothing at %r" % wanted)
    lost = [path for path, e in chosen.items() if e["type"] == "hardlink" and name_of(e, "link") not in chosen]
    chosen.update({path: held[name_of(chosen[path], "link")] for path in lost})  # their content was not chosen
    os.mkdir(root, 0o700)
    made = [(path, os.path.join(root, path), entry) for path, entry in sorted(chosen.items())]
    of_type = lambda kind: [one for one in made if one[2]["type"] == kind]
    for path, _, entry in made:
        make_parents(root, path + (b"/" if entry["type"] == "dir" else b""))
    for snapshot in {entry.get("snapshot", ".") for _, _, entry in of_type("file")}:
        place = directory if snapshot == "." else directory.parent / snapshot
        plain, before = Plain(place / "backup.tar.zst.enc", options.identity), None
        here = [(full, entry) for _, full, entry in of_type("file") if entry.get("snapshot", ".") == snapshot]
        for full, entry in sorted(here, key=lambda one: one[1]["body_offset"]):
            if before and before[1] is entry:  # two links to a content that was not chosen
                os.link(before[0], full)
                continue
            before = full, entry
            write_file(full, entry, plain)
            set_facts(full, entry)
        plain.end()
    for _, full, entry in of_type("symlink"):
        os.symlink(name_of(entry, "link"), full)
        set_facts(full, entry)
    for _, full, entry in of_type("hardlink"):
        make_parents(root, name_of(entry, "link"))
        os.link(os.path.join(root, name_of(entry, "link")), full, follow_symlinks=False)
    for _, full, entry in reversed(of_type("dir")): set_facts(full, entry)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--identity", required=True)
    parser.add_argument("do", choices=["check", "list", "restore"])
    for name in "directory", "target", "path":
        parser.add_argument(name, nargs=None if name == "directory" else "?")
    options = parser.parse_args()
    directory, kit = Path(options.directory).resolve(), Path(options.identity).read_text()
    root_keys = re.findall(r"^# xvault-root-key: *(\S+)", kit, re.M)
    if not root_keys or not shutil.which("openssl"):
        print("Signatures are NOT checked: there is no %s." % ("openssl" if root_keys else "root key"), file=sys.stderr)
        root_keys = []
    manifest = read_manifest(directory, root_keys)
    check_artifact(directory, manifest)
    entries = read_index(directory, manifest, options.identity)
    named = {reference["snapshot_id"]: reference["manifest_sha256"] for reference in manifest["references"]}
    {entry.get("snapshot") for entry in entries} <= {None, *named} or refuse("a snapshot is needed that is not named")
    for earlier, sha256 in named.items():
        check_artifact(directory.parent / earlier, read_manifest(directory.parent / earlier, root_keys, sha256))
    if options.do == "list":
        for entry in entries:
            facts = [str(entry.get(key, "-")) for key in ("type", "mode", "size", "mtime", "sha256")]
            print("\t".join(facts + [json.dumps(os.fsdecode(name_of(entry)))]))
    elif options.do == "restore":
        restore(directory, entries, options)
    print("%d entries, whole." % len(entries), file=sys.stderr)

main()
