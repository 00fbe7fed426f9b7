"""Many jobs while their bucket goes away and comes back; benchmarks/outage.py is the long form."""

import threading

from support.outage import through_an_outage
from support.s3 import serve_s3_with_outages


def test_every_result_of_twenty_jobs_is_in_the_bucket_afterwards(comfy, tmp_path, wait_until):
    kept = tmp_path / "spool" / "kept"

    def until_six_wait():
        wait_until(lambda: kept.exists() and len(list(kept.iterdir())) >= 6)

    with serve_s3_with_outages(tmp_path / "s3") as outages:
        seen = through_an_outage(
            comfy, outages, tmp_path, jobs=20, at_once=2, away=until_six_wait, upload_retry_seconds=0.3
        )

    assert seen.failed == []
    assert seen.right == 20
    assert seen.in_bucket >= 5
    assert seen.in_reply + seen.kept >= 6
    assert min(seen.in_reply, seen.kept) >= 1
    assert seen.in_bucket + seen.in_reply + seen.kept == 20
    assert "spool" not in {thread.name for thread in threading.enumerate()}
