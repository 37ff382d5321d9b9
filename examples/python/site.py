#!/usr/bin/env python3
"""A web site for a trial on one machine: files of a folder over HTTPS, and status lists passed on to issuers.

    site.py FOLDER CERTIFICATE KEY PORT [NAME=http://127.0.0.1:PORT ...]

https://localhost:PORT/NAME/... is FOLDER/NAME/..., but /NAME/status/... is asked of the issuer that is named so.
In earnest your web server does the same with two lines of configuration.
"""

import http.server
import ssl
import sys
import urllib.error
import urllib.request

FOLDER, CERTIFICATE, KEY, PORT = sys.argv[1:5]
ISSUERS = dict(argument.split("=", 1) for argument in sys.argv[5:])


class Site(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory=FOLDER)

    def do_GET(self):
        _, name, *rest = self.path.split("/")
        if rest[:1] != ["status"] or name not in ISSUERS:
            return super().do_GET()
        # What caching needs, both ways.
        asked = {header: self.headers[header] for header in ("Accept", "If-None-Match") if header in self.headers}
        request = urllib.request.Request(ISSUERS[name] + self.path, headers=asked)
        try:
            answer = urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        except OSError:
            return self.send_error(502, f"the issuer {name} does not answer")
        with answer:
            body = answer.read()
            self.send_response(answer.status)
            for header in ("Content-Type", "ETag", "Cache-Control"):
                if header in answer.headers:
                    self.send_header(header, answer.headers[header])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Site)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(CERTIFICATE, KEY)
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
