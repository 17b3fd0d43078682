from __future__ import annotations

from pathlib import Path

from fer_edge.runtime.inputs.folder_walk import walk_folder


def test_folders_of_systems_hidden_files_and_links_are_left_out(tmp_path: Path) -> None:
    for name in ("deep/er", "@eaDir", ".thumbnails", "__MACOSX"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.png").touch()
    for name in ("b.png", "@a.png", "._b.png", ".DS_Store"):
        (tmp_path / name).touch()
    for name in ("deep/up", "again"):
        (tmp_path / name).symlink_to(tmp_path)
    errors: list[OSError] = []
    found = [(str(f.relative_to(tmp_path)), n) for f, n in walk_folder(tmp_path, errors.append)]
    assert found == [(".", ["@a.png", "b.png"]), ("deep", []), ("deep/er", ["a.png"])]
    top = [names for _, names in walk_folder(tmp_path / "again", errors.append)]
    assert top[0] == ["@a.png", "b.png"]
    assert not errors
    assert list(walk_folder(tmp_path / "none", errors.append)) == []
    assert len(errors) == 1
