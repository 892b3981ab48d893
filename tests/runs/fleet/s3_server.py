"""As much of S3 as fsspec asks for, in memory; can fail any share of its requests."""

import random
import threading
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

WHEN = "Fri, 27 Nov 2026 06:00:00 GMT"


class S3Server:
    """Serves one store at `url`.

    Args:
        failing: Share of requests that get the answer 503, 0..1.
    """

    def __init__(self, failing=0.0):
        self.objects: dict[str, bytes] = {}
        self.failing, self.failed, self.served = failing, 0, 0
        chance = random.Random(0)
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def answer(self, code, body=b"", **headers):
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), str(value))
                if "Content_Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def any_method(self):
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if chance.random() < server.failing:
                    server.failed += 1
                    fault = b"<Error><Code>SlowDown</Code><Message>Please slow down</Message></Error>"
                    return self.answer(503, b"" if self.command == "HEAD" else fault)
                server.served += 1
                parts = urlsplit(self.path)
                bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
                return getattr(self, f"on_{self.command}")(f"{bucket}/{key}", parse_qs(parts.query), data)

            do_GET = do_HEAD = do_PUT = do_DELETE = any_method

            def on_PUT(self, name, query, data):
                server.objects[name] = data
                self.answer(200, ETag=f'"{md5(data).hexdigest()}"')

            def on_DELETE(self, name, query, data):
                server.objects.pop(name, None)
                self.answer(204)

            def on_HEAD(self, name, query, data):
                found = server.objects.get(name)
                if found is None:
                    return self.answer(404)
                return self.answer(200, **facts(found))

            def on_GET(self, name, query, data):
                if name.endswith("/"):
                    return self.answer(200, listed(server.objects, name[:-1], query))
                found = server.objects.get(name)
                if found is None:
                    return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
                given = self.headers.get("Range")
                if not given:
                    return self.answer(200, found, **facts(found))
                first, _, last = given.removeprefix("bytes=").partition("-")
                piece = found[int(first) : int(last or len(found)) + 1]
                return self.answer(206, piece, **facts(piece))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def facts(data):
    return {"ETag": f'"{md5(data).hexdigest()}"', "Last_Modified": WHEN, "Content_Length": len(data)}


def listed(objects, bucket, query):
    """One page of `ListObjectsV2`."""
    prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
    keys, folders = [], {}
    for name in sorted(objects):
        place, _, key = name.partition("/")
        if place != bucket or not key.startswith(prefix):
            continue
        rest = key[len(prefix) :]
        if delimiter and delimiter in rest:
            folders[prefix + rest.partition(delimiter)[0] + delimiter] = None
        else:
            keys.append((key, objects[name]))
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>{md5(data).hexdigest()}</ETag>"
        "<LastModified>2026-11-27T06:00:00.000Z</LastModified></Contents>"
        for key, data in keys
    )
    common = "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in folders)
    return (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>'
        f"<Name>{bucket}</Name><KeyCount>{len(keys) + len(folders)}</KeyCount>{contents}{common}"
        "</ListBucketResult>"
    ).encode()
