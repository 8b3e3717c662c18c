"""What our code never does, by its syntax tree: run what data holds, or hand names to a shell."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path for room in ("bench", "models", "baselines") for path in (ROOT / room).rglob("*.py")
)
# Whole modules that run what they read, or whose names say so.
FORBIDDEN_MODULES = {
    "cloudpickle", "code", "dill", "joblib", "marshal", "shelve", "xml.dom", "xml.etree", "xml.sax",
    "lxml", "yaml",
}  # fmt: skip
FORBIDDEN_CALLS = {
    "__import__", "compile", "eval", "exec", "input",
    "os.popen", "os.system", "subprocess.getoutput", "subprocess.getstatusoutput",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "pandas.read_pickle", "pd.read_pickle",
    "tempfile.mktemp", "shutil.unpack_archive", "ssl._create_unverified_context",
    "urllib.request.urlopen", "request.urlopen", "request.urlretrieve", "torch.hub.load",
    "torch.jit.load",
}  # fmt: skip
FORBIDDEN_METHODS = {"extract", "extractall", "unpack_archive", "load_state_dict_from_url"}
# What must be said, so that no default of a library decides.
REQUIRED = {"torch.load": {"weights_only": True}, "np.load": {"allow_pickle": False}}


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an expression of names; `?` stands for what has no name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def offences(source: str) -> list[str]:
    """Everything forbidden in a file, as "line: what"."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            names = []
        found += [
            f"{node.lineno}: imports {name}"
            for name in names
            if name in FORBIDDEN_MODULES | FORBIDDEN_CALLS
            or any(name.startswith(f"{module}.") for module in FORBIDDEN_MODULES)
        ]
        if not isinstance(node, ast.Call):
            continue
        name, given = dotted(node.func), {word.arg: word.value for word in node.keywords}
        if name in FORBIDDEN_CALLS or name.rpartition(".")[2] in FORBIDDEN_METHODS:
            found.append(f"{node.lineno}: calls {name}")
        shell = given.get("shell")
        if shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
            found.append(f"{node.lineno}: shell=True")
        for key, wanted in REQUIRED.get(name, {}).items():
            value = given.get(key)
            if not (isinstance(value, ast.Constant) and value.value is wanted):
                found.append(f"{node.lineno}: {name} without {key}={wanted}")
    return found


def test_no_file_runs_what_it_reads() -> None:
    assert len(FILES) > 100
    wrong = [
        f"{path.relative_to(ROOT)}:{offence}"
        for path in FILES
        for offence in offences(path.read_text(encoding="utf-8"))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "exec(text)",
        "import os\nos.system(text)",
        "from os import system",
        "import subprocess\nsubprocess.run(text, shell=True)",
        "import subprocess\nsubprocess.run(text, shell=flag)",
        "import pickle\npickle.load(stream)",
        "from pickle import loads",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import numpy as np\nnp.load(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import tarfile\ntarfile.open(path).extractall(folder)",
        "import xml.etree.ElementTree as tree",
        "from xml.dom import minidom",
        "import yaml",
    ],
)
def test_the_walk_finds(source: str) -> None:
    assert offences(source)


def test_the_walk_allows_what_is_meant() -> None:
    source = "network.eval()\nsubprocess.run([a, b], shell=False)\nnp.load(p, allow_pickle=False)"
    assert offences(source) == []


def test_the_corpus_is_complete() -> None:
    """At least 60 bad inputs of all kinds, each under a name of its own."""
    from tests.hostile import test_configs, test_folders, test_images, test_labels, test_weights

    kinds = {
        module.__name__: [case.name for case in module.CASES]
        for module in (test_configs, test_folders, test_images, test_labels, test_weights)
    }
    for names in kinds.values():
        assert len(names) == len(set(names)) and len(names) >= 20
    assert sum(map(len, kinds.values())) >= 160
