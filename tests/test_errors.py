from __future__ import annotations

import pytest

from engine.errors import UnknownWorkflow, error_classes


@pytest.mark.parametrize("kind", [each for each in error_classes() if each is not UnknownWorkflow])
def test_whether_a_retry_can_help_is_said_by_the_class_unless_by_the_error(kind):
    assert kind("no").failure()["retryable"] is kind.retryable
    assert kind("no", retryable=True).failure()["retryable"] is True
