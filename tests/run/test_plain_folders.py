"""Folders as they are typed become an override; overrides and options stay what they are."""

import pytest

from nas_reid.run.plain_folders import folders_as_runs


@pytest.mark.parametrize(("typed", "read"), [
    (["a", "b/c", "json=true"], ["json=true", "runs=[a,b/c]"]),
    (["metric=rank1", "runs=[a]"], ["metric=rank1", "runs=[a]"]),
    (["-cd", "mine", "a", "--cfg=job"], ["-cd", "mine", "--cfg=job", "runs=[a]"]),
    (["it's, here"], ['runs=["it\'s, here"]']),
    (["--help"], ["--help"]),
    ([], []),
])
def test_what_is_typed(typed, read):
    assert folders_as_runs(typed) == read


def test_a_folder_with_an_equals_sign_is_one_if_it_is_there(tmp_path):
    (tmp_path / "seed=1").mkdir()
    assert folders_as_runs([f"{tmp_path}/seed=1"]) == [f'runs=["{tmp_path}/seed=1"]']
    assert folders_as_runs([f"{tmp_path}/seed=2"]) == [f"{tmp_path}/seed=2"]
