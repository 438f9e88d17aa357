import subprocess
import sys

import pytest

from engine.errors import Failure
from engine.workers.output import reserved_stdout
from engine.workers.registry import supported_kinds, unsupported_kinds, worker_port


def test_kinds_of_this_version():
    assert supported_kinds() >= {"llm", "rules", "python", "command"}
    assert unsupported_kinds(["llm", "python", "command", "rules"]) == frozenset()
    assert unsupported_kinds(["python", "carrier_pigeon"]) == {"carrier_pigeon"}


def test_a_kind_nobody_carries_out_is_told():
    with pytest.raises(Failure) as caught:
        worker_port("carrier_pigeon")
    assert caught.value.mode == "crashed"
    assert "workers of kind carrier_pigeon are not built into this version" in caught.value.message


def test_an_entry_point_brings_a_kind(tmp_path, monkeypatch):
    (tmp_path / "pigeons.py").write_text("class Loft: pass\n")
    info = tmp_path / "pigeons-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[orch.workers]\ncarrier_pigeon = pigeons:Loft\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "carrier_pigeon" in supported_kinds()
    assert unsupported_kinds(["carrier_pigeon"]) == frozenset()
    assert type(worker_port("carrier_pigeon")).__name__ == "Loft"


def test_standard_output_is_reserved_for_its_holder():
    script = (
        "import os, sys\n"
        "from engine.workers.output import reserved_stdout\n"
        "with reserved_stdout() as out:\n"
        "    print('printed'); os.write(1, b'written\\n'); os.system('echo said')\n"
        "    out.write('result\\n')\n"
        "print('after')\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert ran.stdout == b"result\nafter\n"
    assert sorted(ran.stderr.split()) == [b"printed", b"said", b"written"]


def test_a_captured_standard_output_is_reserved_too(capsys):
    with reserved_stdout() as out:
        print("printed")
        out.write("result")
    assert capsys.readouterr() == ("result", "printed\n")
