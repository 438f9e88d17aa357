import subprocess
import sys

import pytest

from engine.errors import Failure
from engine.sema.kinds import BUILT_IN
from engine.workers.output import reserved_stdout
from engine.workers.registry import port_problem, worker_port


def test_every_built_in_kind_has_a_port_or_is_the_machines():
    for name, kind in BUILT_IN.items():
        assert port_problem(name) is None
        assert (kind.port is None) == (name in {"llm", "plan", "rules", "human"})
    assert port_problem("carrier_pigeon") == "which this version does not support"


def test_a_kind_that_nothing_carries_out_is_told():
    with pytest.raises(Failure) as caught:
        worker_port("carrier_pigeon")
    assert caught.value.mode == "crashed"
    assert "`carrier_pigeon` are not built into this version" in caught.value.message


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
