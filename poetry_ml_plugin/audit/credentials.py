"""Detection of credentials by file names and by their text.

The tables are short on purpose. They name what issuers give a form of its own, and what people call
their secrets; what is found is never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

LONGEST = 8 << 20  # bytes; a text that is larger is data, and not searched
PARDON = b"pragma: allowlist secret"  # in the line; the comment that detect-secrets knows too

NAMES = [
    ".env*",
    "*.env",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".pypirc",
    ".npmrc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".dockercfg",
    ".vault-token",
    "auth.toml",
    "kubeconfig",
    "*.kubeconfig",
    "credentials*",
    "*[-_.]credentials",
    "*[-_.]credentials.*",
    "secrets.*",
    "*[-_.]secrets.*",
    "service[-_]account*.json",
    "client[-_]secret*.json",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "*.key",
    "*.pem",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ppk",
    "*.tfstate",
]
FOLDERS = frozenset([".aws", ".ssh", ".gnupg", ".kube", ".docker", ".ipynb_checkpoints", ".git"])
EXAMPLES = ("*[-_.]example", "*.sample", "*.template", "*.dist", "*.example.*", "*.pub")
SOURCE = frozenset(
    [".py", ".pyc", ".pyi", ".md", ".rst", ".html", ".ipynb"]
)  # code about credentials

# What an issuer gives a form that nothing else has: words that it cannot be without, and the form.
# Looking for a word takes no time, so the form is looked for only where there is one.
ISSUED = {
    "a private key": ("PRIVATE", rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY"),
    "an AWS access key": ("AKIA ASIA", rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "an Anthropic or OpenAI key": ("sk-", rb"\bsk-(?=[\w-]{0,99}\d)[A-Za-z0-9][\w-]{19,}"),
    "an Azure storage key": ("AccountKey", rb"AccountKey=[A-Za-z0-9+/]{40,}"),
    "a Databricks token": ("dapi", rb"\bdapi[0-9a-f]{32}\b"),
    "a DigitalOcean token": ("_v1_", rb"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    "a GitHub token": ("gh github", rb"\b(?:gh[opsur]_[A-Za-z0-9]{36}|github_pat_\w{22,})"),
    "a GitLab token": ("gl", rb"\bgl(?:pat|dt|rt|cbt|ptt)-[\w-]{20,}"),
    "a Google key": (
        "AIza GOCSPX ya29",
        rb"\b(?:AIza[\w-]{35}|GOCSPX-[\w-]{28}|ya29\.[\w-]{20,})",
    ),
    "a Heroku key": ("HRKU", rb"\bHRKU-[\w-]{30,}"),
    "a Hugging Face token": ("hf_", rb"\bhf_[A-Za-z0-9]{30,}"),
    "a JSON web token": ("eyJ", rb"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    "an npm token": ("npm_", rb"\bnpm_[A-Za-z0-9]{36}\b"),
    "a PyPI token": ("pypi-", rb"\bpypi-Ag[\w-]{50,}"),
    "a SendGrid key": ("SG.", rb"\bSG\.[\w-]{16,}\.[\w-]{16,}"),
    "a Slack token": (
        "xox hooks.slack",
        rb"\bxox[abeoprs]-[\w-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w{16,}",
    ),
    "a Stripe key": ("k_live_ k_test_", rb"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    "a Telegram token": (":AA", rb"\b\d{8,10}:AA[\w-]{33}\b"),
    "a Twilio key": ("SK", rb"\bSK[0-9a-f]{32}\b"),
    "a Vault token": (
        "hvs. hvb. hvr. s.",
        rb"\bhv[bsr]\.[\w-]{20,}"
        rb"|\bs\.(?=\w*\d)(?=\w*[a-z])(?=\w*[A-Z])[A-Za-z0-9]{24}\b",
    ),
    "a login for a machine": ("machine", rb"\bmachine\s+\S+\s+login\s+\S+\s+password\s+\S+"),
    "an Authorization header": (
        "uthorization",
        rb"\b(?i:authorization[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|token))"
        rb"\s+(?=\S*\d)[\w+/=.~-]{8,}",
    ),
    "a Weights & Biases key": ("wandb", rb"\bwandb\b[^\n]{0,60}\b[0-9a-f]{40}\b"),
    "a password in a connection string": (
        "wd= WD= word= WORD=",
        rb";\s*(?i:password|pwd)=(?P<value>[^;\s\"']{4,})",
    ),
    "a password in an address": (
        "://",
        rb"\b[a-z][a-z0-9+.-]{1,20}://[^\s:@/\"'<>]{0,80}:(?P<value>[^\s@/\"'<>]{3,80})@[\w.-]",
    ),
}

# What people call a secret, and what they set it to: in quotes, or bare where files are written so.
HINT = re.compile(rb"pass|pwd|secret|token|cred|key")
ASSIGNED = re.compile(
    rb"""(?P<kind>passw(?:or)?d|passphrase|(?<![a-z])pass|pwd|secret|token|credentials?|keys?)
        ["']?\]?(?:\s*:\s*[\w.\[\]| ]{1,40}?(?=\s*=[^=]))?
        [ \t]*(?:=>|:=|[:=]|(?P<default>,))[ \t]*
        (?:\[\s*|\r?\n[ \t]*-[ \t]+)?  # the first of a list
        (?:[rbu]?"(?P<double>[^"\n]{4,500})"|[rbu]?'(?P<single>[^'\n]{4,500})'
        |(?P<bare>(?![!&*%|>\[{])[^\s"'`,;]{4,500}))""",
    re.IGNORECASE | re.VERBOSE,
)
SECRET_KEY = re.compile(  # of the many things that are called a key
    rb"(?:access|account|api|auth|encryption|private|secret|shared|signing|storage)[_-]?$",
    re.IGNORECASE,
)
DEFAULT = re.compile(rb"(?:getenv|environ\.get|environ\.setdefault)\(\s*[\"']\w*$")
COMMAND = re.compile(rb"(?:%(?:set_)?env|export)\s+\w*$")  # in a notebook, where all else is code
SETTINGS = frozenset(
    [
        ".cfg",
        ".conf",
        ".config",
        ".env",
        ".ini",
        ".json",
        ".properties",
        ".tfvars",
        ".toml",
        ".xml",
        ".yaml",
        ".yml",
    ]
)
# Where a value that is not in quotes is code, or a number.
QUOTED = frozenset(
    [".css", ".html", ".ipynb", ".js", ".json", ".mjs", ".py", ".pyi", ".pyx", ".r", ".ts"]
)

# What stands for a value, and is none.
REFERENCE = re.compile(
    rb"^\$\w|\$[{(]|%\(|\{\w*\}|\{\{|\*\*\*|\.\.\.|^[<\[].*[>\]]$|^(?:env|file|vault):|^(?:~|\.{0,2})/[\w.-]+/"
)
FILLER = re.compile(
    rb"none|null|true|false|todo|xxx+|(?:[a-z_ -]*[ _-])?(?:change-?_?me|dummy|example|fake|"
    rb"insert|missing|optional|password|placeholder|redacted|required|secret|string|token|"
    rb"unknown|your)(?:[ _-][a-z_ -]*)?|[a-z]+[_-]?(?:password|secret|token|key)",
    re.IGNORECASE,
)


def refused(path: PurePosixPath) -> bool:
    """Tell whether a file's name marks it as a credential file."""
    name = path.name.lower()
    if FOLDERS.intersection(path.parts[:-1]):
        return True
    if path.suffix.lower() in SOURCE or any(fnmatchcase(name, glob) for glob in EXAMPLES):
        return False
    return any(fnmatchcase(name, glob) for glob in NAMES)


def search(content: bytes, path: PurePosixPath) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text that look like credentials, each with its kind."""
    if len(content) > LONGEST or b"\0" in content:
        return
    if path.suffix == ".ipynb":
        content = content.replace(rb"\"", b'"').replace(rb"\n", b"  ")  # code in strings of JSON
    seen = set()
    for position, kind in sorted([*_issued(content), *_assigned(content, path)]):
        line = content.count(b"\n", 0, position) + 1
        if line not in seen and PARDON not in _line(content, position):
            seen.add(line)
            yield line, kind


def _issued(content: bytes) -> Iterator[tuple[int, str]]:
    for kind, (words, form) in ISSUED.items():
        if any(word.encode() in content for word in words.split()):
            for match in re.finditer(form, content):
                if not _stands_for(match.groupdict().get("value", b"")):
                    yield match.start(), kind


def _assigned(content: bytes, path: PurePosixPath) -> Iterator[tuple[int, str]]:
    suffix = path.suffix.lower()
    settings = suffix in SETTINGS or path.name.startswith(".env")
    for hint in HINT.finditer(content.lower()):
        match = ASSIGNED.match(content, hint.start())
        if match is None:
            continue
        before = content[max(0, match.start() - 64) : match.start()]
        if match["default"] and not DEFAULT.search(before):
            continue
        if match["bare"] and suffix in QUOTED and not COMMAND.search(before):
            continue
        if _secret(match, settings) and _named(content, match):
            yield match.start(), f'a value for "{match["kind"].decode()}"'


def _named(content: bytes, match: re.Match[bytes]) -> bool:
    """Tell whether the name that is assigned to means a secret, and not some other key."""
    before = content[max(0, match.start() - 16) : match.start()]
    return not match["kind"].lower().startswith(b"key") or bool(SECRET_KEY.search(before))


def _secret(match: re.Match[bytes], settings: bool) -> bool:
    value = match["double"] or match["single"] or match["bare"]
    kind = match["kind"].lower()
    if _stands_for(value) or value.lower() == kind or b" " in value:
        return False
    # People choose their passwords, so any word may be one; keys are made by machines, and look so.
    if kind.startswith((b"passw", b"passp", b"pwd")) and (settings or match["bare"] is None):
        return True
    if kind == b"pass" and settings and re.search(rb"\d", value):
        return True
    looks = len(value) >= 8 and re.fullmatch(rb"[\w+/=.~:@!#^&?,-]+", value)
    return bool(looks and re.search(rb"\d", value) and re.search(rb"[A-Za-z]", value))


def _stands_for(value: bytes) -> bool:
    """Tell whether a value is a reference or a placeholder."""
    return bool(REFERENCE.search(value) or FILLER.fullmatch(value)) or 0 < len(set(value)) < 4


def _line(content: bytes, position: int) -> bytes:
    end = content.find(b"\n", position)
    return content[content.rfind(b"\n", 0, position) + 1 : None if end < 0 else end]
