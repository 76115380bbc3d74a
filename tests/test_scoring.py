"""Whole files predicted into whole files: killed, interrupted and begun again, with bad rows and bad files."""

from __future__ import annotations

import csv
import gzip
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from scoring import MAIN, Tiny, files, lines, make, objects, write_csv
from serving import until
from test_interruptions import mounted

HEADER = "id,size,color,weight,prediction.label,prediction.shares.large,prediction.shares.small"


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return make(tmp_path)


def table(number: int, start: int = 0) -> pa.Table:
    rows = list(csv.reader(lines(number, start)))
    ids, sizes, colors, weights = zip(*rows, strict=True)
    return pa.table(
        {
            "id": pa.array(map(int, ids), pa.int32()),
            "size": pa.array(map(float, sizes), pa.float32()),
            "color": pa.array([color or None for color in colors]).dictionary_encode(),
            "weight": pa.array(map(float, weights)),
        }
    )


def test_a_file_becomes_one_file_that_has_what_predict_prints(tiny: Tiny) -> None:
    write_csv(tiny.folder / "in.csv", 1_000)
    said = tiny.predict("in.csv", "-o", "out.csv")
    assert "Predicted 1,000 rows of 1 file" in said
    written = (tiny.folder / "out.csv").read_text()
    assert written.splitlines()[0] == HEADER
    assert written.splitlines()[2] == "1,37,blue,0.125,small,0.037,0.963"
    assert len(written.splitlines()) == 1_001
    assert sorted(path.name for path in tiny.folder.iterdir()) == ["in.csv", "out.csv"]


def test_a_folder_becomes_a_folder_of_files_of_the_same_names(tiny: Tiny) -> None:
    for n in range(3):
        write_csv(tiny.folder / f"in/{n}/rows.csv", 50, n * 50)
    (tiny.folder / "in/notes.txt").write_text("no table")
    (tiny.folder / "in/_SUCCESS").write_text("")
    tiny.predict("in", "-o", "out")
    assert files(tiny.folder / "out").keys() == {f"{n}/rows.csv" for n in range(3)}
    assert "Predicted 150 rows of 3 files" in tiny.predict("in", "-o", "out")
    tiny.predict("in/*/rows.csv", "-o", "other")
    assert files(tiny.folder / "other") == files(tiny.folder / "out")


def test_every_format_gives_the_same_predictions_and_keeps_types(tiny: Tiny) -> None:
    write_csv(tiny.folder / "a.csv", 700)
    (tiny.folder / "b.csv.gz").write_bytes(gzip.compress((tiny.folder / "a.csv").read_bytes()))
    with pa.CompressedOutputStream(str(tiny.folder / "c.csv.zst"), "zstd") as file:
        file.write((tiny.folder / "a.csv").read_bytes())
    pq.write_table(table(700), tiny.folder / "d.parquet", row_group_size=150)
    rows = table(700).to_pylist()
    (tiny.folder / "e.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    tiny.predict("a.csv", "-o", "a-out.jsonl")
    tiny.predict("d.parquet", "-o", "d-out.parquet")
    expected = pq.read_table(tiny.folder / "d-out.parquet")
    assert expected.schema.field("id").type == pa.int32()
    assert expected.schema.field("size").type == pa.float32()
    assert pa.types.is_dictionary(expected.schema.field("color").type)
    assert expected.num_rows == 700
    answers = [name for name in expected.column_names if name.startswith("prediction")]
    assert answers == HEADER.split(",")[4:]
    for name in ("a.csv", "b.csv.gz", "c.csv.zst", "e.jsonl"):
        tiny.predict(name, "-o", f"out-{name}.parquet")
        found = pq.read_table(tiny.folder / f"out-{name}.parquet")
        assert found.select(answers).to_pylist() == expected.select(answers).to_pylist()
        assert found.schema.field("size").type == pa.float64()
    first = objects(tiny.folder / "a-out.jsonl")[1]
    assert first["prediction.shares.large"] == 0.037
    tiny.predict("d.parquet", "-o", "d.csv.gz", "--keep", "id")
    unpacked = gzip.decompress((tiny.folder / "d.csv.gz").read_bytes()).decode().splitlines()
    assert unpacked[0] == ",".join(["id", *answers])
    assert len(unpacked) == 701


def test_a_quoted_cell_with_line_breaks_is_never_cut(tiny: Tiny) -> None:
    rows = [f'{n},{n % 600},red,"a ""{n}"", \n\nb"' for n in range(2_000)]
    (tiny.folder / "in.csv").write_text("\n".join(["id,size,color,weight", *rows]))
    for workers in ("1", "2"):
        tiny.predict("in.csv", "-o", f"out{workers}.csv", "--workers", workers)
    with (tiny.folder / "out1.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["weight"] for row in found] == [f'a "{n}", \n\nb' for n in range(2_000)]
    assert (tiny.folder / "out2.csv").read_bytes() == (tiny.folder / "out1.csv").read_bytes()


def test_bad_rows_are_listed_with_file_row_column_and_reason(tiny: Tiny) -> None:
    rows = list(lines(1_000))
    rows[700] = "700,many,red,1"
    rows[800] = "800,666,red,1"
    rows[900] = "900,1"
    rows[950] = "950,2000,green,1"
    (tiny.folder / "in.csv").write_text("\n".join(["id,size,color,weight", *rows]))
    said = tiny.predict("in.csv", "-o", "out.csv", code=1)
    assert 'in.csv, line 702, size: "many" is not a number of at least 0' in said
    assert "--on-error skip" in said
    assert "parts are done" in said
    said = tiny.predict("in.csv", "-o", "out.csv", "--on-error", "skip")
    assert "parts are done already: going on" in said
    assert "4 more do not fit, see out.csv.rejected.jsonl" in said
    rejected = objects(tiny.folder / "out.csv.rejected.jsonl")
    assert [(row["file"], row["row"], row["column"]) for row in rejected] == [
        ("in.csv", 702, "size"),
        ("in.csv", 802, "size"),
        ("in.csv", 902, ""),
        ("in.csv", 952, "size"),
        ("in.csv", 952, "color"),
    ]
    assert rejected[1]["reason"] == "no such size"
    assert len((tiny.folder / "out.csv").read_text().splitlines()) == 997
    said = tiny.predict(
        "in.csv", "-o", "two.csv", "--on-error", "skip", "--max-errors", "2", code=1
    )
    assert "More than 2 rows do not fit" in said


def test_a_bad_type_in_a_late_row_of_parquet_is_named(tiny: Tiny) -> None:
    whole = table(2_000).to_pydict()
    whole["size"][1_777] = -5.0
    pq.write_table(pa.table(whole), tiny.folder / "in.parquet", row_group_size=100)
    said = tiny.predict("in.parquet", "-o", "out", "--workers", "1", code=1)
    assert "in.parquet, line 1778, size: -5.0 is not a number of at least 0" in said
    assert "8 of 10 parts are done, and stay in out." in said
    assert len(files(tiny.folder / "out")) == 8


def test_whatever_happens_to_a_run_the_next_one_completes_it(tiny: Tiny) -> None:
    """Killed at twenty moments, the output has every byte of an undisturbed one."""
    bad = [line if n % 301 else line.replace(",", ",-", 1) for n, line in enumerate(lines(20_000))]
    (tiny.folder / "in.csv").write_text("\n".join(["id,size,color,weight", *bad]))
    options = ("--on-error", "skip")
    began = time.monotonic()
    tiny.predict("in.csv", "-o", "whole.csv", *options, "--workers", "2")
    usual = time.monotonic() - began
    expected = (tiny.folder / "whole.csv").read_bytes()
    rejected = (tiny.folder / "whole.csv.rejected.jsonl").read_bytes()
    assert rejected.count(b"\n") == 66
    dice = random.Random(20)
    killed = 0
    for n in range(20):
        words = ("in.csv", "-o", "out.csv", *options, "--workers", str(1 + n % 2))
        with tiny.start(*words) as process:
            time.sleep(dice.uniform(0.3, 1) * usual)  # any moment will do, the end too
            process.kill()
        killed += process.returncode == -signal.SIGKILL
        if (tiny.folder / "out.csv.parts").exists() or not (tiny.folder / "out.csv").exists():
            tiny.predict(*words)
        else:  # killed at its very end
            tiny.predict(*words, "--force")
        assert (tiny.folder / "out.csv").read_bytes() == expected
        assert (tiny.folder / "out.csv.rejected.jsonl").read_bytes() == rejected
        names = {path.name for path in tiny.folder.iterdir() if path.name.startswith(("out", "."))}
        assert names == {"out.csv", "out.csv.rejected.jsonl"}
        for name in names:
            (tiny.folder / name).unlink()
    assert killed >= 10


def test_ctrl_c_says_what_is_done_and_the_same_command_goes_on(tiny: Tiny) -> None:
    slow = MAIN.replace("share =", "__import__('time').sleep(0.005); share =")
    (tiny.folder.parent / "src/tiny/__main__.py").write_text(slow)
    write_csv(tiny.folder / "in.csv", 20_000)
    for workers in ("1", "2"):
        words = ("in.csv", "-o", f"out{workers}", "--workers", workers)
        process = tiny.start(*words)
        done = tiny.folder / f"out{workers}/in-00003.csv"
        until(done.exists)
        process.send_signal(signal.SIGINT)
        said = "".join(process.communicate(timeout=60))
        assert process.returncode == 130, said
        assert "Interrupted. " in said
        assert f"parts are done, and stay in out{workers}." in said
        assert "Traceback" not in said
        assert not list((tiny.folder / f"out{workers}").glob(".*tmp"))
        assert "parts are done already" in tiny.predict(*words)
    assert files(tiny.folder / "out1") == files(tiny.folder / "out2")


def test_what_has_changed_since_is_refused_and_begun_anew_with_force(tiny: Tiny) -> None:
    write_csv(tiny.folder / "in.csv", 500)
    tiny.predict("in.csv", "-o", "out")
    before = files(tiny.folder / "out")
    assert "Predicted 500 rows" in tiny.predict("in.csv", "-o", "out")
    write_csv(tiny.folder / "in.csv", 400)
    said = tiny.predict("in.csv", "-o", "out", code=1)
    assert "out was begun, and since then in.csv changed. --force begins anew." in said
    assert files(tiny.folder / "out") == before
    tiny.predict("in.csv", "-o", "out", "--force")
    assert files(tiny.folder / "out").keys() < before.keys()
    (tiny.folder.parent / "src/tiny/__main__.py").write_text(MAIN.replace("0.5", "0.6"))
    assert "since then the model changed" in tiny.predict("in.csv", "-o", "out", code=1)
    (tiny.folder / "one.csv").write_text("mine\n")
    said = tiny.predict("in.csv", "-o", "one.csv", code=1)
    assert "one.csv is there already. --force replaces it." in said
    assert (tiny.folder / "one.csv").read_text() == "mine\n"


def test_an_output_that_was_deleted_is_made_again(tiny: Tiny) -> None:
    write_csv(tiny.folder / "in.csv", 500)
    tiny.predict("in.csv", "-o", "out")
    before = files(tiny.folder / "out")
    (tiny.folder / "out/in-00001.csv").unlink()
    tiny.predict("in.csv", "-o", "out")
    assert files(tiny.folder / "out") == before


def test_a_file_without_rows_becomes_a_file_without_rows(tiny: Tiny) -> None:
    write_csv(tiny.folder / "in/a.csv", 0)
    write_csv(tiny.folder / "in/b.csv", 3)
    pq.write_table(table(1).slice(1), tiny.folder / "in/c.parquet")
    tiny.predict("in", "-o", "out")
    assert (tiny.folder / "out/a.csv").read_text() == "id,size,color,weight,prediction.label\n"
    assert len((tiny.folder / "out/b.csv").read_text().splitlines()) == 4
    assert pq.read_table(tiny.folder / "out/c.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.csv", "-o", "out"], "none.csv is missing."),
        (["empty", "-o", "out"], "empty has no file to predict."),
        (["notes.txt", "-o", "out"], "notes.txt is not a table."),
        (["*.none", "-o", "out"], "*.none has no file to predict."),
        (["a/rows.csv", "b/rows.csv", "-o", "out"], "a/rows.csv and b/rows.csv would both be"),
        (["a", "-o", "a/out"], "The output a/out is inside the input a,"),
        (["a/rows.csv", "-o", "a"], "The output a/rows.csv is an input, too."),
        (["a/rows.csv", "-o", "a/rows.csv"], "The output a/rows.csv is an input, too."),
        (["a/rows.csv", "-o", "out.xlsx"], "Predictions cannot be written as out.xlsx."),
        (["a/rows.csv", "-o", "out", "--keep", "ID"], 'there is no column "ID" to keep'),
        (["near.csv", "-o", "out"], 'the column "Size" is nearly "size"'),
        (["latin.csv", "-o", "out"], "this is not text in UTF-8"),
        (["cut.parquet", "-o", "out"], "cut.parquet: this is not a complete Parquet file"),
        (["cut.csv.gz", "-o", "out"], "cut.csv.gz is not a complete gzip file"),
        (["a/rows.csv", "-o", "out", "--address", "x:1"], "--address goes with --engine"),
        (["x9://a/rows.csv", "-o", "out"], "x9:// is not known to pyarrow"),
        (["bug.csv", "-o", "out"], "RuntimeError: a bug of the model"),
    ],
    ids=[
        "no such file",
        "folder without files",
        "no table",
        "pattern of nothing",
        "two of one name",
        "output inside the input",
        "output over the input",
        "output is the input",
        "output of another kind",
        "no column to keep",
        "nearly a field",
        "not UTF-8",
        "truncated Parquet",
        "truncated gzip",
        "address of nothing",
        "unknown scheme",
        "bug of the model",
    ],
)
def test_what_cannot_be_predicted_is_one_sentence(tiny: Tiny, words: list[str], said: str) -> None:
    for name in ("a/rows.csv", "b/rows.csv"):
        write_csv(tiny.folder / name, 30)
    (tiny.folder / "empty").mkdir()
    (tiny.folder / "notes.txt").write_text("no table")
    (tiny.folder / "near.csv").write_text("Size,color\n1,red\n")
    (tiny.folder / "latin.csv").write_bytes(b"size,color\n1,red\n2,\xe4\n")
    (tiny.folder / "bug.csv").write_text("size,color\n667,red\n")
    pq.write_table(table(1_000), tiny.folder / "whole.parquet")
    whole = (tiny.folder / "whole.parquet").read_bytes()
    (tiny.folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    packed = gzip.compress((tiny.folder / "a/rows.csv").read_bytes())
    (tiny.folder / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    found = tiny.predict(*words, code=1)
    assert said in found
    assert ("Traceback" in found) == ("bug" in said)
    assert found.startswith(("Error: ", "Traceback"))


def test_a_parquet_file_that_is_damaged_in_the_middle_is_named(tiny: Tiny) -> None:
    pq.write_table(table(2_000), tiny.folder / "in.parquet", row_group_size=100, compression="none")
    content = bytearray((tiny.folder / "in.parquet").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    (tiny.folder / "in.parquet").write_bytes(content)
    said = tiny.predict("in.parquet", "-o", "out", "--workers", "1", code=1)
    assert "in.parquet" in said
    assert "parts are done, and stay in out." in said
    assert "Traceback" not in said


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small file system")
def test_a_full_disk_is_named_and_what_is_done_stays(tiny: Tiny) -> None:
    write_csv(tiny.folder / "in.csv", 5_000)
    with mounted(tiny.folder / "small", "size=200k") as small:
        said = tiny.predict("in.csv", "-o", small / "out", "--workers", "1", code=1)
        assert "cannot be written: No space left on device." in said
        assert "parts are done, and stay in" in said
        assert not list((small / "out").glob(".*tmp"))
        kept = len(files(small / "out"))
        assert kept > 2
        subprocess.run(["mount", "-o", "remount,size=4m", small], check=True)
        assert f"{kept} of " in tiny.predict("in.csv", "-o", small / "out", "--workers", "2")
        found = files(small / "out")
    tiny.predict("in.csv", "-o", "out", "--workers", "1")
    assert found == files(tiny.folder / "out")


def test_a_process_that_is_killed_is_named(tiny: Tiny) -> None:
    path = tiny.folder.parent / "src/tiny/__main__.py"
    path.write_text(MAIN.replace("raise RuntimeError", "import os; os.kill(os.getpid(), 9)  #"))
    write_csv(tiny.folder / "in.csv", 1_000)
    with (tiny.folder / "in.csv").open("a") as file:
        file.write("1,667,red,1\n")
    said = tiny.predict("in.csv", "-o", "out", "--workers", "2", code=1)
    assert "The process that scored in.csv ended with signal 9" in said
    assert "parts are done, and stay in out." in said


def test_rows_without_columns_are_predicted_one_by_one(tmp_path: Path) -> None:
    main = MAIN.replace("predict_columns", "not_there").replace(
        'raise NotImplementedError("rows are predicted as columns")',
        'return [Prediction("large" if row.size > 500 else "small", {"large": row.size / 1000,'
        ' "small": 1 - row.size / 1000}) for row in data]',
    )
    one, other = make(tmp_path / "one", main), make(tmp_path / "other")
    for each in (one, other):
        write_csv(each.folder / "in.csv", 500)
        each.predict("in.csv", "-o", "out.csv")
    assert (one.folder / "out.csv").read_bytes() == (other.folder / "out.csv").read_bytes()


def test_memory_does_not_grow_with_the_file(tiny: Tiny) -> None:
    peaks = []
    for number in (20_000, 200_000):
        write_csv(tiny.folder / "in.csv", number)
        script = (
            "import resource, runpy, sys; sys.argv[0] = 'tiny'\n"
            "try: runpy.run_module('tiny', run_name='__main__')\n"
            "finally: print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        )
        words = ["predict", "in.csv", "-o", f"out{number}", "--workers", "1"]
        done = subprocess.run(
            [sys.executable, "-c", script, *words],
            cwd=tiny.folder,
            env=tiny.env,
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout.rpartition("peak")[2]))
    assert peaks[1] < peaks[0] * 1.1
