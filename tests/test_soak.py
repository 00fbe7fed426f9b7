"""The short form of `make soak`."""

import pytest
from support.soak import soak


@pytest.mark.timeout(300)
def test_jobs_under_random_faults_each_end_once_and_rightly(tmp_path):
    summary = soak(tmp_path, seed=7, jobs=40, workers=2, share_of_faults=0.2)
    assert summary.violations == [], "\n".join(summary.lines())
    assert sum(summary.ends.values()) == 40
    assert summary.fired
