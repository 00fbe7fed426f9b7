"""A machine with a role at Google: its metadata server, the storage, and the service that signs for the role.

The signing service has a fixed https address, so it stands behind a proxy here, with a certificate made on the spot.
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.gcs import BUCKET, EMAIL, serving

SIGNER = "iamcredentials.googleapis.com"


class Google(BaseHTTPRequestHandler):
    """The metadata server, the storage, and (through CONNECT) the signing service."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        documents = {
            "/": "",
            "/computeMetadata/v1/project/project-id": "project",
            "/computeMetadata/v1/instance/service-accounts/default/": {"email": EMAIL, "scopes": [], "aliases": []},
        }
        if path.endswith("/token"):
            self.reply(200, {"access_token": "the-roles-token", "expires_in": 3600, "token_type": "Bearer"})
        elif path in documents:
            self.reply(200, documents[path])
        else:
            self.reply(404, "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if ":signBlob" not in self.path:
            self.reply(200, {"name": "x", "bucket": BUCKET})
            return
        self.server.signed.append((self.path, self.headers["Authorization"], json.loads(body)))
        signature = base64.b64encode(b"signature").decode()
        self.reply(self.server.signer_status, {"signedBlob": signature, "keyId": "1"})

    def do_CONNECT(self):
        self.server.asked_for.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        with self.server.tls.wrap_socket(self.connection, server_side=True) as secured:
            Google(secured, self.client_address, self.server)
        self.close_connection = True

    def reply(self, status, document):
        is_text = isinstance(document, str)
        content = (document if is_text else json.dumps(document)).encode()
        self.send_response(status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "text/plain" if is_text else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def machine_with_a_role(
    folder: Path, *, signer_status: int = 200
) -> Iterator[tuple[ThreadingHTTPServer, dict[str, str]]]:
    """Serves until the block ends; gives the server, and the environment of a process on such a machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Google)
    server.signed, server.asked_for, server.signer_status = [], [], signer_status
    certificate, key = _certificate(folder)
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(certificate, key)
    with serving(server) as url:
        host = url.removeprefix("http://")
        yield (
            server,
            {
                "GCE_METADATA_HOST": host,
                "GCE_METADATA_IP": host,
                "API_ENDPOINT_OVERRIDE": url,
                "CLOUDSDK_CONFIG": str(folder),  # no login of this machine's user
                "HTTPS_PROXY": url,
                "NO_PROXY": "127.0.0.1",
                "REQUESTS_CA_BUNDLE": str(certificate),
            },
        )


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SIGNER)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SIGNER)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
