#!/usr/bin/env python3
"""hone pull beside huggingface_hub, on one hub of this machine (no network): what each of them
downloads, the other one finds, and neither fetches it again.

    python tools/interop_pull.py --hone build/hone

needs a Python with huggingface_hub.  Prints one line per comparison; the status is 1 when one fails.
"""

import argparse
import hashlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GOLDEN = os.path.join(os.path.dirname(__file__), "..", "test", "golden", "llama-tied")


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def files_of_model():
    files = {}
    for name in sorted(os.listdir(GOLDEN)):
        path = os.path.join(GOLDEN, name)
        if os.path.isfile(path) and not name.startswith("golden"):
            files[name] = open(path, "rb").read()
    files["README.md"] = b"# A model\n"
    files["pytorch_model.bin"] = b"pickle" * 1000
    files["onnx/model.onnx"] = b"onnx" * 1000
    return files


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files = {}
    log = []

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = urllib.parse.unquote(self.path.split("?")[0])
        Hub.log.append((self.command, path))
        if path.startswith("/api/models/acme/tiny/revision/") or path == "/api/models/acme/tiny":
            siblings = [{"rfilename": name} for name in self.files]
            body = {"_id": "1", "id": "acme/tiny", "modelId": "acme/tiny", "sha": COMMIT,
                    "private": False, "gated": False, "tags": [], "siblings": siblings}
            return self.answer(200, json.dumps(body).encode(), Content_Type="application/json")
        if path.startswith("/api/models/acme/tiny/tree/"):
            tree = []
            for name, data in self.files.items():
                row = {"type": "file", "path": name, "size": len(data), "oid": git_sha1(data)}
                if len(data) > 4096:
                    row["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data),
                                  "pointerSize": 130}
                tree.append(row)
            return self.answer(200, json.dumps(tree).encode(), Content_Type="application/json")
        prefix = "/acme/tiny/resolve/"
        name = path[len(prefix):].split("/", 1)[-1] if path.startswith(prefix) else ""
        if name in self.files:
            data = self.files[name]
            lfs = len(data) > 4096
            etag = hashlib.sha256(data).hexdigest() if lfs else git_sha1(data)
            headers = {"X_Repo_Commit": COMMIT, "ETag": f'"{etag}"', "Accept_Ranges": "bytes"}
            if lfs:
                headers |= {"X_Linked_Etag": f'"{etag}"', "X_Linked_Size": str(len(data))}
            asked = self.headers.get("Range")
            if asked:
                start = int(asked.split("=")[1].split("-")[0])
                headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
                return self.answer(206, data[start:], **headers)
            return self.answer(200, data, **headers, Content_Length=str(len(data)))
        return self.answer(404, b'{"error":"Entry not found"}', X_Error_Code="EntryNotFound")


failed = []


def check(name, good, detail=""):
    print(f"{'PASS' if good else 'FAIL'}  {name}  {detail}")
    if not good:
        failed.append(name)


def tree_of(folder):
    found = {}
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            found[os.path.relpath(path, folder)] = os.readlink(path) if os.path.islink(path) else None
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hone", default="build/hone")
    args = parser.parse_args()
    hone = os.path.abspath(args.hone)
    Hub.files = files_of_model()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    work = tempfile.TemporaryDirectory()
    os.environ["HF_ENDPOINT"] = endpoint
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HOME"] = os.path.join(work.name, "home")
    os.environ.pop("HF_HUB_OFFLINE", None)
    import huggingface_hub
    from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download
    from huggingface_hub import try_to_load_from_cache

    ours, theirs = (os.path.join(work.name, name) for name in ("ours", "theirs"))

    def run(cache, *command, **env):
        env = os.environ | {"HF_HUB_CACHE": cache} | env
        return subprocess.run([hone, *command], env=env, capture_output=True, text=True, check=False)

    print("huggingface_hub", huggingface_hub.__version__)
    done = run(ours, "pull", "acme/tiny")
    check("hone pull", done.returncode == 0, done.stderr.strip())
    wanted = {n for n in Hub.files if n not in ("pytorch_model.bin", "onnx/model.onnx")}

    scan = scan_cache_dir(ours)
    repos = list(scan.repos)
    check("scan_cache_dir reads hone's cache", len(repos) == 1 and not scan.warnings
          and repos[0].repo_id == "acme/tiny" and set(repos[0].refs) == {"main"}, str(scan.warnings))
    check("its files", {f.file_name for r in repos for v in r.revisions for f in v.files}
          == {os.path.basename(n) for n in wanted})
    check("no part is left over", not getattr(scan, "incomplete_files", None))
    path = snapshot_download("acme/tiny", cache_dir=ours, local_files_only=True)
    check("snapshot_download(local_files_only=True)", path == done.stdout.splitlines()[-1], path)
    right = True
    for name in wanted:
        found = try_to_load_from_cache("acme/tiny", name, cache_dir=ours)
        right &= isinstance(found, str) and open(found, "rb").read() == Hub.files[name]
    check("try_to_load_from_cache, every file", right)
    Hub.log.clear()
    snapshot_download("acme/tiny", cache_dir=ours, ignore_patterns=["*.bin", "onnx/*"])
    fetched = [p for c, p in Hub.log if c == "GET" and "/resolve/" in p]
    check("huggingface_hub fetches nothing again", not fetched, str(fetched))

    snapshot_download("acme/tiny", cache_dir=theirs, ignore_patterns=["*.bin", "onnx/*"])
    Hub.log.clear()
    done = run(theirs, "info", "--model", "acme/tiny", HF_HUB_OFFLINE="1")
    check("hone finds what huggingface_hub downloaded, offline", done.returncode == 0, done.stderr)
    check("  and asks nobody", not Hub.log)
    done = run(theirs, "pull", "acme/tiny", "--json")
    result = json.loads(done.stdout) if done.returncode == 0 else {}
    check("hone pull fetches nothing again", result.get("downloaded_bytes") == 0, done.stderr)
    layout = {k: v for k, v in tree_of(theirs).items() if k.startswith("models--acme--tiny/")
              and not k.split("/")[1].startswith("trees")}
    mine = {k: v for k, v in tree_of(ours).items() if k.startswith("models--acme--tiny/")
            and not k.split("/")[1].startswith("trees")}
    check("the same names and links", layout == mine, str(set(layout.items()) ^ set(mine.items())))

    part = os.path.join(work.name, "part")
    hf_hub_download("acme/tiny", "config.json", cache_dir=part)
    done = run(part, "info", "--model", "acme/tiny", HF_HUB_OFFLINE="1")
    check("a cache with the configuration alone is said to be incomplete",
          done.returncode == 1 and "not complete" in done.stderr, done.stderr.strip())
    done = run(part, "info", "--model", "acme/tiny")
    check("  and completed when the hub is there", done.returncode == 0, done.stderr.strip())
    server.shutdown()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
