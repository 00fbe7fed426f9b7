"""The folders of jobs on this machine."""

import gc
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.scratch import Scratch


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def scratch(temporary):
    scratch = Scratch()
    yield scratch
    scratch.close()
    assert list(temporary.iterdir()) == []


def littered(folder):
    (folder / "inputs" / "deep").mkdir(parents=True)
    (folder / "inputs" / "deep" / "a.png").write_text("a")
    (folder / "b.png").write_text("b")
    (folder / "link").symlink_to(folder.parent)
    return folder


def test_a_job_gets_an_empty_folder_whatever_the_one_before_left(scratch, temporary):
    with scratch.folder() as folder:
        before = littered(folder)
    assert list(before.iterdir()) == []
    with scratch.folder() as folder:
        assert folder == before
        assert list(folder.iterdir()) == []
        assert folder.stat().st_mode & 0o077 == 0  # nobody else's to read
    assert temporary.is_dir()  # the link was removed, and not what it leads to


def test_jobs_at_once_have_folders_of_their_own(scratch):
    together = threading.Barrier(9)

    def have(_):
        with scratch.folder() as folder:
            together.wait(20)
            return folder

    with ThreadPoolExecutor(9) as pool:
        assert len(set(pool.map(have, range(9)))) == 9


def test_the_folder_of_a_job_that_failed_is_no_other_jobs(scratch):
    with pytest.raises(ZeroDivisionError), scratch.folder() as failed:
        len(littered(failed).parts) // 0  # and a thread that it left behind may go on writing
    assert not failed.exists()
    with scratch.folder() as folder:
        assert folder != failed


def test_one_that_was_tidied_up_by_the_system_is_made_anew(scratch):
    with scratch.folder() as folder:
        pass
    folder.rmdir()
    with scratch.folder() as other:
        assert other.is_dir()


def test_what_others_put_in_its_place_is_not_used(scratch, temporary):
    with scratch.folder() as folder:
        pass
    folder.rmdir()
    folder.symlink_to(temporary)
    with scratch.folder() as other:
        assert other != folder
        assert not other.is_symlink()
    folder.unlink()


def test_one_that_can_not_be_emptied_is_not_used_again(scratch):
    with scratch.folder() as folder:
        folder.rename(folder.with_name("moved"))
        gone = folder
    with scratch.folder() as folder:
        assert folder.is_dir()
        assert folder != gone
    gone.with_name("moved").rmdir()


def test_a_job_that_outlives_the_close_leaves_nothing(scratch, temporary):
    with scratch.folder() as folder:
        scratch.close()
        assert folder.is_dir()
    assert list(temporary.iterdir()) == []


def test_nothing_is_left_where_nobody_closes_it(temporary):
    scratch = Scratch()
    with scratch.folder() as folder:
        pass
    assert folder.is_dir()
    del scratch
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_no_more_are_kept_than_are_of_use(scratch, temporary):
    def nested(depth):
        if depth:
            with scratch.folder():
                nested(depth - 1)

    nested(9)
    assert len(list(Path(temporary).iterdir())) <= 4
