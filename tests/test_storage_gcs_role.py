"""Google Cloud Storage on a machine with a role: no key is there, and Google signs the links."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from support.gcs import EMAIL
from support.google_role import SIGNER, machine_with_a_role

# In a process of its own: Google's package reads where the metadata server is when it is imported.
SCRIPT = """
import json, sys
from pathlib import Path
from support.outputs import of_job, output_file
from engine.errors import StorageError
from engine.storage.gcs import GCSStorage
from engine.storage.gcs_options import GCSOptions

storage = GCSStorage(GCSOptions("results", retries=0))
try:
    [stored] = storage.put([output_file(Path(sys.argv[1]))], **of_job(expires_in=60))
    print(json.dumps(stored.as_dict()))
except StorageError as error:
    print(json.dumps(error.failure()))
finally:
    storage.close()
"""


def stored_by_a_role(folder, environment):
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_google_signs_the_links_of_a_role(tmp_path):
    with machine_with_a_role(tmp_path) as (server, environment):
        stored = stored_by_a_role(tmp_path, environment)
    query = parse_qs(urlsplit(stored["url"]).query)
    assert query["X-Goog-Credential"][0].startswith(f"{EMAIL}/")
    assert query["X-Goog-Expires"] == ["60"]
    assert query["X-Goog-Signature"] == [b"signature".hex()]
    assert stored["uri"] == "gs://results/txt2img/job-1/ComfyUI_00001_.png"
    assert set(server.asked_for) == {f"{SIGNER}:443"}
    [(path, authorization, body)] = server.signed
    assert path.startswith(f"/v1/projects/-/serviceAccounts/{EMAIL}:signBlob")
    assert authorization == "Bearer the-roles-token"
    assert base64.b64decode(body["payload"]).startswith(b"GOOG4-RSA-SHA256")


def test_a_role_that_may_not_have_links_signed_is_told_what_it_lacks(tmp_path):
    with machine_with_a_role(tmp_path, signer_status=403) as (_, environment):
        failure = stored_by_a_role(tmp_path, environment)
    assert failure["message"] == "the result is in the bucket, but Google did not sign a link to it"
    assert "Service Account Token Creator" in failure["hint"]
    assert failure["retryable"] is False
