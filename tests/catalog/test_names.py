from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mixtera.catalog.bundles import NumberedFile, bundled
from mixtera.catalog.names import (
    FILE_IDS,
    assign_file_ids,
    directory_name,
    file_id_of,
    same_name,
    source_name,
)
from mixtera.contracts.storage import FileInfo

NAMES = st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=20)


@given(NAMES, NAMES)
def test_ids_are_unique_and_stay(first: set[str], second: set[str]) -> None:
    before = assign_file_ids("web", first, {}, set())
    after = assign_file_ids("web", first | second, before, set())
    assert all(after[name] == before[name] for name in first)
    assert len(set(after.values())) == len(first | second)
    assert all(0 <= file_id < FILE_IDS for file_id in after.values())


def test_an_id_that_is_taken_goes_to_the_next_free_one() -> None:
    wanted = file_id_of("web", "a")
    taken = {wanted, (wanted + 1) % FILE_IDS}
    assert assign_file_ids("web", ["a"], {}, taken) == {"a": (wanted + 2) % FILE_IDS}


def test_ids_do_not_depend_on_the_order_of_the_listing() -> None:
    names = [f"part-{number}" for number in range(100)]
    assert assign_file_ids("web", names, {}, set()) == assign_file_ids("web", names[::-1], {}, set())


@given(st.text(min_size=1))
def test_a_source_name_survives_as_a_directory_name(name: str) -> None:
    directory = directory_name(name)
    assert source_name(directory) == name
    assert "/" not in directory
    assert "." not in directory


def test_files_of_one_name_are_found() -> None:
    files = [FileInfo(f"/{path}", path[-1], 1, 1) for path in ("a/x", "a/y", "b/x", "b/y")]
    assert same_name(files) == (files[0], files[2])
    assert same_name(files[:2]) is None


@given(
    st.lists(st.integers(0, 10_000), max_size=50),
    st.integers(1, 8),
    st.sampled_from([1, 1000, 100_000]),
)
def test_bundles_hold_every_file_once_in_order_of_ids(sizes: list[int], workers: int, smallest: int) -> None:
    files = [NumberedFile(FileInfo(f"/{n}", f"{n}", size, 1), n * 7919 % 104_729) for n, size in enumerate(sizes)]
    bundles = bundled(files, workers, smallest)
    assert [file for bundle in bundles for file in bundle] == sorted(files, key=lambda file: file.file_id)
    assert all(bundles)
