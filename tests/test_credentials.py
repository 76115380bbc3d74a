"""What looks like a credential is found, and nothing else is."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from pathlib import Path, PurePosixPath

import pytest
from conftest import Churn, poetry, run
from credential_lines import INNOCENT as INNOCENT_LINES
from credential_lines import PLANTED as PLANTED_LINES

from poetry_ml_plugin.audit import credentials, leaks
from poetry_ml_plugin.build import contents
from poetry_ml_plugin.project import pyproject

HEX = hashlib.sha256(b"planted").hexdigest()
KEY = "".join(
    random.Random(7).choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=40)
)

# Twenty files, each with one credential: by its name, or in its text, with what must not be repeated.
PLANTED = {
    ".env": ("", ""),
    "src/churn/.netrc": ("", ""),
    "id_ed25519": ("", ""),
    "configs/credentials.json": ("", ""),
    "configs/tls/server.pem": ("", ""),
    "notebooks/.ipynb_checkpoints/one.ipynb": ("", ""),
    "configs/one.yaml": ("db:\n  password: {}\n", "hunter2"),
    "configs/two.yaml": ("api_keys: {}\n", "k1f2e3d4c5"),
    "configs/three.toml": ('secret-key = "{}"\n', HEX),
    "configs/four.ini": (
        "aws_secret_access_key = {}\n",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ),
    "configs/five.json": ('{{"refresh_token": "{}"}}', KEY),
    ".env.example": ("SECRET_KEY={}\n", HEX[:32]),
    "README.md": ("Log in with `HEROKU_API_KEY={}`.\n", "01234567-89ab-cdef-0123-456789abcdef"),
    "notebooks/two.ipynb": ('{{"source": ["key = \\"{}\\""]}}', f"sk-proj-{KEY}"),
    "notebooks/three.ipynb": ('{{"source": ["db_password = \\"{}\\""]}}', "swordfish"),
    "src/churn/one.py": ("client = Client('{}')\n", f"hvs.{KEY}"),
    "src/churn/two.py": ("URL = 'postgres://ann:{}@db.example.org/churn'\n", "s3cret-of-ann"),
    "src/churn/three.py": ('KEY = """{}"""\n', "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r"),
    "src/churn/four.txt": ("{}\n", f"AKIA{HEX[:16].upper()}"),
    "src/churn/five.sh": ("export HF={}\n", f"hf_{KEY[:34]}"),
}

HARMLESS = {
    "a.yaml": "api_keys: ''\npassword: ${env:DB_PASSWORD}\ntoken: ${vault:churn/db#token1}\n"
    "max_tokens: 100000\npad_token: '[PAD]'\neos_token: <|endoftext|>\ntoken: $TOKEN1\npassword:\n  min: 8\n",
    "b.py": 'password = os.environ["PASSWORD1"]\ntoken = get_token2(x)\nkey = "feature_123456"\n'
    'headers["Authorization"] = f"Bearer {key}"\nAPI_KEY_HEADER = "X-API-Key2"\nsecret = Secret("DB1")\n'
    'f("token", "k1f2e3d4c5"); columns = ["password", "k1f2e3d4c5"]; os.getenv("DB_PASSWORD", "")\n'
    'url = f"https://{user}:{password}@{host}"\npassword = "your-password"\nTOKEN = re.compile(r"[a-z]+")\n',
    "c.json": '{"pad_token": "[PAD]", "vocab": {"password": 1234, "token": 8812345}, "key": "feature_123"}',
    "d.md": "Set `API_KEY=<your key>`, `password: see below`, https://user:password@host, `TOKEN=...`",
    "e.lock": f'{{file = "secretstorage-3.3.1.whl", hash = "sha256:{HEX}"}}',
    "f.csv": f"id,token,password\n1,{HEX},x1y2z3a4\n",
    ".env.example": "PASSWORD=changeme\nAPI_KEY=your-api-key\nDATABASE_URL=postgres://user:password@localhost/x\n",
    "g.py": f'api_key = "{KEY}"  # pragma: allowlist secret\n',
}


def test_twenty_planted_credentials_are_caught_and_not_repeated(copy: Path) -> None:
    run("git", "init", "--quiet", cwd=copy)
    for name, (text, secret) in PLANTED.items():
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(secret))
    run("git", "add", "--force", ".env", "src/churn/.netrc", "notebooks", cwd=copy)
    done = poetry("ml", "check", "--json", cwd=copy, code=1)
    (found,) = [each for each in json.loads(done.stdout) if each["id"] == "credentials"]
    assert found["status"] == "error"
    caught = [problem["message"] for problem in found["problems"]]
    for name, (_, secret) in PLANTED.items():
        assert [
            what for what in caught if what.startswith(f"{name} ") or what.startswith(f"{name},")
        ], name
        assert not secret or secret not in done.stdout + done.stderr
    assert len(caught) == len(PLANTED) == 20


def test_the_generated_project_raises_no_alarm(churn: Churn, copy: Path) -> None:
    found = pyproject.read(churn.root)
    assert found is not None
    assert contents.before(found) == []
    notebook = json.loads((copy / "notebooks/exploration.ipynb").read_text())
    noise = random.Random(3).randbytes(200_000)
    outputs = [
        {"data": {"image/png": base64.b64encode(noise).decode(), "text/plain": [f"sha256 {HEX}"]}},
        {"text": [f"{n}/100 loss: 0.{n}e-3 token_ids: [{n}, 2812]\n" for n in range(100)]},
    ]
    notebook["cells"][1]["outputs"] = outputs
    (copy / "notebooks/exploration.ipynb").write_text(json.dumps(notebook, indent=1))
    for path in sorted(copy.rglob("*")):  # poetry.lock, the manifest and the tests too
        if path.is_file():
            name = PurePosixPath(path.relative_to(copy).as_posix())
            assert not credentials.refused(name), name
            assert list(credentials.search(path.read_bytes(), name)) == [], name


@pytest.mark.parametrize("name", HARMLESS)
def test_what_stands_for_a_credential_is_none(name: str) -> None:
    path = PurePosixPath(name)
    assert not credentials.refused(path)
    assert list(credentials.search(HARMLESS[name].encode(), path)) == []


@pytest.mark.parametrize(
    "text",
    [
        'sha = "machine 1"; token="Ab3dE5gH1jK"',
        "password='Pa$$w0rd!'",
        "c = 'Server=db;Uid=sa;Pwd=Pa55word;'",
        'password: str = "correcthorse"',
        "requests.get(url, headers={'Authorization': 'Bearer abcdef123456'})",
        f"wandb.login(key='{HEX[:40]}')",
        "machine api.heroku.com\n  login a@example.org\n  password 0123456789",
        f"s = 's.{KEY[:24]}'",
        'os.environ["API_KEY"] = "k1f2e3d4c5"',
        'os.environ.setdefault("API_TOKEN", "k1f2e3d4c5")',
        "password = os.getenv('DB_PASSWORD', 'hunter2')",
    ],
    ids=[
        "token",
        "password",
        "connection string",
        "annotated",
        "header",
        "wandb key",
        "netrc",
        "Vault token",
        "environ",
        "setdefault",
        "default of getenv",
    ],
)
def test_credentials_in_code_are_found(text: str) -> None:
    assert len(list(credentials.search(text.encode(), PurePosixPath("a.py")))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "DB_PASS=hunter2",
        "api_keys: [k1f2e3d4c5, b2]",
        "api_keys:\n  - k1f2e3d4c5",
        "mail_pass: h4nter2",
    ],
    ids=["env file", "list", "list in lines", "yaml"],
)
def test_credentials_in_settings_are_found(text: str) -> None:
    assert len(list(credentials.search(text.encode(), PurePosixPath("configs/a.yaml")))) == 1


@pytest.mark.parametrize(
    "code",
    [
        'os.environ["API_KEY"] = "k1f2e3d4c5"\n',
        "%env API_KEY=k1f2e3d4c5\n",
        "!export TOKEN=k1f2e3d4c5\n",
    ],
    ids=["environ", "env magic", "shell"],
)
def test_credentials_in_a_notebook_are_found(code: str) -> None:
    text = json.dumps({"cells": [{"source": [code, "model\n"]}]}, indent=1)
    assert len(list(credentials.search(text.encode(), PurePosixPath("a.ipynb")))) == 1


def test_names_say_that_a_file_is_for_nobody_else() -> None:
    for name in ("credentials-prod.json", "aws_credentials", ".envrc", ".env-prod", "id_rsa.bak"):
        assert credentials.refused(PurePosixPath(name)), name
    for name in (".env-example", ".env.sample", "id_rsa.pub", "credentials.py", "environment.yml"):
        assert not credentials.refused(PurePosixPath(name)), name


def test_searching_takes_time_in_proportion_to_the_text() -> None:
    """A long run without a line's end, as images in notebooks are, is no trap."""
    for text in (b"a" * 400_000, b"a.-+" * 100_000, b"password" * 50_000, b"sk-" * 100_000):
        assert list(credentials.search(text, PurePosixPath("a.ipynb"))) == []


def test_only_files_that_git_would_take_are_looked_at(copy: Path) -> None:
    (copy / ".env").write_text("CHURN_API_KEY=abcdef123456\n")
    found = pyproject.read(copy)
    assert found is not None
    assert leaks.in_tree(found) == []  # without git nobody shares a file of this folder
    nested = copy / "configs/prod/db.yaml"
    nested.parent.mkdir()
    nested.write_text("password: hunter2\n")
    assert [v.message.split(",")[0] for v in leaks.in_tree(found)] == ["configs/prod/db.yaml"]
    nested.unlink()
    (copy / "src/churn/.netrc").write_text("machine example.org login ann password abc\n")
    (problem,) = leaks.in_tree(found)
    assert (
        problem.message == "src/churn/.netrc would be shipped"
    )  # Poetry asks git what to leave out
    run("git", "init", "--quiet", cwd=copy)
    assert leaks.in_tree(found) == []  # and .gitignore names it
    (copy / "tests/key.pem").write_text("a key that a test needs")
    (copy / "data/raw/tokens.csv").write_text("token=abcdef123456\n")
    assert leaks.in_tree(found) == []
    run("git", "add", "--force", ".env", cwd=copy)
    (problem,) = leaks.in_tree(found)
    assert problem.message.startswith(".env is committed to git")
    assert problem.fix is None  # what git had once, others have


def judged(cases: list[tuple[str, str]]) -> list[str]:
    """The cases that raise an alarm, by the file's name or by the text."""
    paths = ((PurePosixPath(name), text) for name, text in cases)
    return [
        f"{path}: {text}"
        for path, text in paths
        if credentials.refused(path) or list(credentials.search(text.encode(), path))
    ]


def test_no_planted_line_is_missed_and_no_innocent_one_raises_an_alarm() -> None:
    assert len(PLANTED_LINES) == len(INNOCENT_LINES) == 60
    found = judged(PLANTED_LINES)
    assert [
        f"{name}: {text}" for name, text in PLANTED_LINES if f"{name}: {text}" not in found
    ] == []
    assert judged(INNOCENT_LINES) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_a_text_that_windows_wrote_is_read(encoding: str) -> None:
    content = "a: 1\npassword: hunter2\n".encode(encoding)
    (found,) = credentials.search(content, PurePosixPath("configs/a.yaml"))
    assert found[0] == 2


@pytest.mark.parametrize(
    ("name", "is_refused"),
    [
        (".docker/Dockerfile", False),
        (".docker/compose.yaml", False),
        (".docker/config.json", True),
        (".env.default", False),
        ("example.env", False),
        ("prod.env", True),
        (".env", True),
    ],
)
def test_a_place_for_examples_is_none_for_credentials(name: str, is_refused: bool) -> None:
    assert credentials.refused(PurePosixPath(name)) is is_refused


def test_detect_secrets_finds_no_more(tmp_path: Path) -> None:
    """Beside a scanner that is widely used: it misses some of the lines, or it raises more alarms."""
    scanner = pytest.importorskip("detect_secrets")
    settings = pytest.importorskip("detect_secrets.settings")

    def theirs(cases: list[tuple[str, str]]) -> int:
        count = 0
        for n, (name, text) in enumerate(cases):
            path = tmp_path / f"{n}" / PurePosixPath(name).name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{text}\n")
            with settings.default_settings():
                found = scanner.SecretsCollection()
                found.scan_file(str(path))
            count += bool(list(found))
        return count

    assert theirs(PLANTED_LINES) <= len(judged(PLANTED_LINES))
    assert theirs(INNOCENT_LINES) >= len(judged(INNOCENT_LINES))
