"""Files of a text in the work folder: none overwrites another. Case `file_names`."""

from __future__ import annotations

from pathlib import Path

from agentd.attachments import fetch
from common.client.http import Download


class Files:
    def __init__(self, **files: tuple[str | None, bytes]) -> None:
        self.files = files

    async def file(self, file_id: str) -> Download:
        name, content = self.files[file_id]
        return Download(content, name)


async def test_two_files_of_one_name_both_arrive(tmp_path: Path) -> None:
    source = Files(a=("IMG.jpg", b"one"), b=("IMG.jpg", b"two"), c=("x/IMG.jpg", b"one"))
    assert await fetch(source, ["a", "b", "c"], tmp_path) == [
        "attachments/IMG.jpg",
        "attachments/IMG-2.jpg",
        "attachments/IMG.jpg",
    ]
    assert (tmp_path / "attachments/IMG-2.jpg").read_bytes() == b"two"


async def test_a_follow_up_in_the_same_folder_keeps_the_file_of_the_text_before(
    tmp_path: Path,
) -> None:
    await fetch(Files(a=("log.txt", b"before")), ["a"], tmp_path)
    assert await fetch(Files(a=("log.txt", b"after")), ["a"], tmp_path) == ["attachments/log-2.txt"]
    assert (tmp_path / "attachments/log.txt").read_bytes() == b"before"


async def test_a_link_of_that_name_is_not_followed(tmp_path: Path) -> None:
    await fetch(Files(a=("first", b"1")), ["a"], tmp_path)
    outside = tmp_path / "outside"
    (tmp_path / "attachments" / "x.txt").symlink_to(outside)
    assert await fetch(Files(a=("x.txt", b"new")), ["a"], tmp_path) == ["attachments/x-2.txt"]
    assert not outside.exists()


async def test_the_projects_own_folder_of_that_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "attachments").mkdir()
    (tmp_path / "attachments" / ".gitignore").write_text("*.tmp\n")
    assert await fetch(Files(a=("x.txt", b"x")), ["a"], tmp_path) == ["attachments-2/x.txt"]
    assert (tmp_path / "attachments" / ".gitignore").read_text() == "*.tmp\n"


async def test_content_tells_the_ending_where_neither_name_nor_type_does(tmp_path: Path) -> None:
    source = Files(a=(None, b"\x89PNG..."), b=("clip", b"\0\0\0\x1cftypM4A ...."))
    assert await fetch(source, ["a", "b"], tmp_path) == [
        "attachments/file.png",
        "attachments/clip.m4a",
    ]
